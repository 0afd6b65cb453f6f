"""The one privileged step: server packages by apt, whose own services are kept from starting now and at the next boot."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import run, run_or_complain
from slipstream_ops.layers.contract import Command, Requirement
from slipstream_ops.placement import LAYERS, product_named
from slipstream_ops.stack import OWN_DATABASE, StackFile

POLICY = Path("/usr/sbin/policy-rc.d")
"""Debian asks this script before a package starts its service; 101 means no (policy-rc.d(8), invoke-rc.d)."""

REFUSAL = "#!/bin/sh\n# Put here by slipstream for the length of one installation.\nexit 101\n"
INSTALL_SECONDS = 1800.0


def needed_by(config: StackFile) -> tuple[Requirement, ...]:
    """Programs of all products that the stack file chooses, the stack's own database included unless it is external."""
    found: list[Requirement] = []
    for layer in LAYERS:
        server = "django" if layer == "application" else getattr(config, layer).server or OWN_DATABASE
        found += product_named(layer, server).REQUIREMENTS
    return tuple(dict.fromkeys(found))


def has_apt() -> bool:
    return shutil.which("apt-get") is not None


def install_packages(packages: Sequence[str]) -> None:
    """Install Debian packages; services that come with them stay off. Must run as root."""
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    units_before = _unit_files()
    with services_kept_from_starting():
        run(Command(("apt-get", "update", "-q"), "updating the list of packages", environment, timeout_seconds=INSTALL_SECONDS))
        run_or_complain(
            Command(
                ("apt-get", "install", "-y", "-q", "--no-install-recommends", *packages),
                f"installing {', '.join(packages)}",
                environment,
                timeout_seconds=INSTALL_SECONDS,
            ),
            "Read apt's message above",
        )
    _disable(_unit_files() - units_before)


@contextlib.contextmanager
def services_kept_from_starting() -> Iterator[None]:
    """Refuse service starts while packages are being installed; a policy that was there before is put back."""
    before = POLICY.read_bytes() if POLICY.exists() else None
    mode = POLICY.stat().st_mode if before is not None else 0
    try:
        POLICY.write_text(REFUSAL)
        POLICY.chmod(0o755)
    except OSError as error:
        raise Complaint(f"writing {POLICY}", error.strerror or str(error), "Run `slipstream install` as root") from None
    try:
        yield
    finally:
        if before is None:
            POLICY.unlink(missing_ok=True)
        else:
            POLICY.write_bytes(before)
            POLICY.chmod(mode)


def _unit_files() -> set[str]:
    return {path.name for folder in ("/lib/systemd/system", "/usr/lib/systemd/system") for path in Path(folder).glob("*.service")}


def _disable(units: set[str]) -> None:
    """Only units that this installation brought: a service that was there before is its owner's."""
    named = sorted(unit for unit in units if "@" not in unit)
    if named and shutil.which("systemctl"):
        run(Command(("systemctl", "disable", "--quiet", *named), "keeping new services from starting at boot"))
