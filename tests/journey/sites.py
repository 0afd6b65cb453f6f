"""Runs the command ``slipstream`` on real projects for tests, as a user would: a subprocess, a folder, an exit code."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

REPOSITORY = Path(__file__).resolve().parents[2]
SLIPSTREAM = REPOSITORY / ".venv" / "bin" / "slipstream"
GAZETTE = REPOSITORY / "examples" / "gazette"
SYSTEM_PYTHON = Path("/usr/bin/python3")

UP_SECONDS = 180
TAKES_PYTHON = ("up", "status", "reload", "restart", "manage", "eject", "config", "cache")


@dataclass
class Site:
    """A project in a folder of its own, and the command run on it."""

    folder: Path
    python: Path | None = None
    environment: dict[str, str] = field(default_factory=dict)
    user: str | None = None

    def slipstream(
        self, *arguments: str, check: bool = True, timeout_seconds: float = UP_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run the command in the project's folder; by default a failure fails the test with everything it printed."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout_seconds,
            env=self.full_environment(),
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if check:
            assert done.returncode == 0, (
                f"slipstream {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done

    def command(self, *arguments: str) -> list[str]:
        words = [str(SLIPSTREAM), *arguments]
        if self.python and arguments[0] in TAKES_PYTHON:
            at = 3 if arguments[0] in ("config", "cache") else 2
            words[at:at] = ["--python", str(self.python)]
        return words if self.user is None else ["runuser", "-u", self.user, "--", *words]

    def full_environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", "VIRTUAL_ENV", "PYTEST_"))}
        return {**kept, **self.environment}

    def complaint(self, *arguments: str) -> str:
        """What the command says when it refuses: exit code 1, no traceback, the last line a sentence."""
        done = self.slipstream(*arguments, check=False)
        assert done.returncode == 1, f"expected a refusal, got {done.returncode}\n{done.stdout}\n{done.stderr}"
        assert "slipstream_ops/" not in done.stderr, f"a traceback of the tool:\n{done.stderr}"
        last = done.stderr.strip().splitlines()[-1]
        assert last.startswith("error: While "), done.stderr
        return done.stderr

    @cached_property
    def addresses(self) -> dict[str, str]:
        found: dict[str, str] = self.status()["addresses"]
        return found

    def status(self) -> dict[str, Any]:
        done = self.slipstream("status", "--json", check=False)
        assert done.stdout, done.stderr
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def service(self, name: str) -> dict[str, Any]:
        return next(row for row in self.status()["services"] if row["service"] == name)

    @property
    def state(self) -> Path:
        return self.folder / ".slipstream"

    def visitor(self, **options: Any) -> httpx.Client:
        """A browser that believes the local authority."""
        home = Path(self.environment.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
        context = ssl.create_default_context(cafile=str(home / "slipstream" / "authority.pem"))
        return httpx.Client(**{"base_url": self.addresses["site"], "verify": context, "timeout": 30, **options})


@contextmanager
def running(site: Site, *arguments: str) -> Iterator[Site]:
    """``up --detach`` before, ``down`` after, whatever happens."""
    try:
        site.slipstream("up", "--detach", *arguments)
        yield site
    finally:
        site.slipstream("down", check=False)


def make_environment(folder: Path, *requirements: str, python: Path = SYSTEM_PYTHON) -> Path:
    """An environment with just these packages, as a project of its own would have; its interpreter."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    interpreter = folder / "bin" / "python"
    pip = [interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements]
    subprocess.run(pip, check=True, timeout=600)
    return interpreter


def copy_gazette(folder: Path) -> Site:
    """The gazette as it is in the repository, without what others made in it, with its own environment."""
    ignored = shutil.ignore_patterns(".slipstream", ".venv", "__pycache__", "media", "staticfiles", "*.sqlite3", ".env")
    shutil.copytree(GAZETTE, folder, ignore=ignored)
    return Site(folder, GAZETTE / ".venv" / "bin" / "python")


def digest_of(folder: Path) -> dict[str, str]:
    """Hash of each file of a project, without what running it makes anyway."""
    skipped = {".slipstream", "__pycache__", ".venv"}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not skipped & set(path.relative_to(folder).parts)
    }
