"""Finds the project by its files: manage.py, the settings it names, the interpreter it runs in. Looks, never imports."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import run
from slipstream_ops.layers.contract import Command

SKIPPED_FOLDERS = frozenset({"node_modules", "site-packages", "__pycache__", "venv", "env", "build", "dist"})
SEARCH_DEPTH = 2
"""Folders below the given one that are looked into: repositories keep manage.py at the top, in src/ or in backend/app/."""

AWKWARD = frozenset(" '\"\\$%#;:,*?[]{}")
"""Letters of a path that some product expands, splits at or takes for a comment, and some cannot be told not to."""

ENVIRONMENT_FOLDERS = (".venv", "venv", "env")

Ask = Callable[[str, Sequence[str]], str]
"""Asks the user to choose one of the candidates; only given when there is a terminal."""


def find_project_root(start: Path) -> Path:
    """The folder of the one manage.py in ``start``, below it or above it. Raises ``Complaint`` for none or several."""
    start = start.absolute()
    doing = f"looking for the Django project in {start}"
    if not start.is_dir():
        raise Complaint(doing, "there is no such folder", "Check --project")
    if (start / "manage.py").is_file():
        return start
    below = sorted(_manage_files(start, SEARCH_DEPTH))
    if len(below) > 1:
        names = ", ".join(str(path.relative_to(start)) for path in below)
        raise Complaint(doing, f"{len(below)} projects were found: {names}", "Choose one with --project DIR")
    if below:
        return below[0].parent
    for parent in start.parents:
        if (parent / "manage.py").is_file():
            return parent
        if (parent / ".git").exists():
            break
    raise Complaint(
        doing, "no manage.py was found there, below or above", "Go to the project's folder or name it with --project DIR"
    )


def refuse_awkward_path(root: Path) -> None:
    """Raise ``Complaint`` for a path that cannot be written into every server's configuration."""
    for letter in str(root):
        if letter in AWKWARD or not letter.isprintable():
            raise Complaint(
                f"looking at the project in {str(root)!r}",
                f"its path holds {letter!r}, which has a meaning of its own in the servers' configuration",
                "Move or rename the folder; nothing was changed",
            )


def _manage_files(folder: Path, depth: int) -> Iterator[Path]:
    if depth < 0:
        return
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name == "manage.py" and entry.is_file() and _names_settings(Path(entry.path)):
            yield Path(entry.path)
        elif entry.is_dir(follow_symlinks=False) and not entry.name.startswith(".") and entry.name not in SKIPPED_FOLDERS:
            yield from _manage_files(Path(entry.path), depth - 1)


def _names_settings(path: Path) -> bool:
    return bool(settings_named_in(path))


def settings_named_in(path: Path) -> list[str]:
    """Settings modules that a manage.py or wsgi.py names as the value of DJANGO_SETTINGS_MODULE, in order."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    pattern = r"""DJANGO_SETTINGS_MODULE['"]\s*(?:,|\]\s*=|:)\s*['"]([A-Za-z_]\w*(?:\.\w+)*)['"](?!\s*[+%])"""
    return list(dict.fromkeys(re.findall(pattern, text)))


def find_settings(root: Path, told: str | None, ask: Ask | None = None) -> str:
    """The settings module: as told, else DJANGO_SETTINGS_MODULE, else the one that manage.py and wsgi.py agree on."""
    if told:
        return told
    if named := os.environ.get("DJANGO_SETTINGS_MODULE"):
        return named
    candidates = settings_named_in(root / "manage.py")
    for wsgi in sorted(root.glob("*/wsgi.py")):
        candidates += [name for name in settings_named_in(wsgi) if name not in candidates]
    if len(candidates) == 1:
        return candidates[0]
    doing = f"looking for the settings of {root}"
    if not candidates:
        raise Complaint(doing, "manage.py names no settings module", 'Write settings = "..." under [project] in slipstream.toml')
    if ask:
        return ask("Which settings module is the site to run with?", candidates)
    listed = ", ".join(candidates)
    raise Complaint(
        doing,
        f"several modules are named in manage.py and wsgi.py: {listed}",
        f'Write settings = "{candidates[-1]}" (or another) under [project] in slipstream.toml',
    )


def find_interpreter(root: Path, told: str | None) -> Path:
    """The project's Python: as told, else its .venv, uv's or poetry's environment, VIRTUAL_ENV, or python3 on the PATH."""
    if told:
        path = Path(told).expanduser()
        path = path if path.is_absolute() else root / path
        if path.is_dir():
            path = path / "bin" / "python"
        if not (path.is_file() and os.access(path, os.X_OK)):
            raise Complaint("looking for the project's interpreter", f"{path} is not a program that can be run", "Check --python")
        return path
    for folder in (root, *list(root.parents)[:2]):
        if named := os.environ.get("UV_PROJECT_ENVIRONMENT"):
            candidate = folder / named / "bin" / "python"
            if candidate.is_file():
                return candidate
        for name in ENVIRONMENT_FOLDERS:
            candidate = folder / name / "bin" / "python"
            if candidate.is_file() and (folder / name / "pyvenv.cfg").is_file():
                return candidate
        if (folder / "poetry.lock").is_file() and (poetry := shutil.which("poetry")):
            found = run(Command((poetry, "env", "info", "-e"), "asking poetry for its environment", directory=folder))
            if found.succeeded and Path(found.output.strip()).is_file():
                return Path(found.output.strip())
        if (folder / ".git").exists():
            break
    active = os.environ.get("VIRTUAL_ENV")
    if active and (candidate := Path(active) / "bin" / "python").is_file():
        return candidate
    for directory in os.environ.get("PATH", "").split(os.pathsep):
        candidate = Path(directory) / "python3"
        if directory and candidate.is_file() and Path(directory) != Path(sys.executable).parent:
            return candidate
    return Path(sys.executable)
