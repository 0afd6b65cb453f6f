"""A bare Django project in a temporary folder, as ``django-admin startproject`` makes it, and a stack for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from workshop import make_project, make_stack

from slipstream_ops.placement import Stack


def start_project(folder: Path) -> Path:
    """The project's root; owned by nobody in particular and readable by all, as services run under users of their own."""
    root = folder / "site"
    root.mkdir(exist_ok=True)
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", str(root)], check=True, cwd=folder)
    return root


def make_django_stack(
    folder: Path, config: dict[str, Any] | None = None, layers: tuple[str, ...] = ("appserver",), **facts: Any
) -> Stack:
    """A stack of ``layers`` around a bare project; ``facts`` change what the survey would have found."""
    root = start_project(folder)
    return make_stack(folder, config, make_project(root, **facts), layers=frozenset({"application", *layers}))
