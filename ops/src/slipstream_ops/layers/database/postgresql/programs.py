"""Which of the host's installed PostgreSQL versions runs the database: the newest, or the one whose files are there already."""

from __future__ import annotations

from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.contract import Requirement

OLDEST, NEWEST = 14, 30
"""14 is the oldest that Django 5.2 works with; the upper bound only ends the search."""

PLACES = tuple(f"/usr/lib/postgresql/{major}/bin" for major in range(NEWEST, OLDEST - 1, -1))
"""Where Debian's packages put the programs, beside one another; newest first."""

REQUIREMENTS = (Requirement("postgres", "postgresql", PLACES), Requirement("psql", "postgresql-client", PLACES))


def installed_places() -> tuple[Path, ...]:
    """Folders with a ``postgres``, newest version first."""
    return tuple(Path(place) for place in PLACES if (Path(place) / "postgres").exists())


def find_programs(cluster: Path) -> Path:
    """Folder of the programs for the database files in ``cluster`` (a new database: the newest).

    Raises ``Complaint`` when none is installed, or none of the version that made the files; they are left as they are.
    """
    installed = installed_places()
    made_by = _version_of(cluster)
    if made_by is None:
        if not installed:
            raise Complaint("looking for PostgreSQL", "no supported version is installed", "Run `slipstream install`")
        return installed[0]
    for place in installed:
        if place.parent.name == made_by:
            return place
    found = ", ".join(place.parent.name for place in installed) or "none"
    raise Complaint(
        f"looking for PostgreSQL {made_by}, which made the database in {cluster}",
        f"it is not installed (installed: {found}), and another version cannot read the files. Nothing was changed",
        f"Install the package postgresql-{made_by}; to move to a newer version, dump the database with it and load the dump "
        "into a new one",
    )


def _version_of(cluster: Path) -> str | None:
    """Major version that made the files; None when there are none yet."""
    try:
        return (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Complaint(
            f"looking at the database in {cluster}",
            f"its files cannot be read ({error.strerror})",
            "Run slipstream as the user who created this state folder",
        ) from None
