"""Real processes in a bare project, as the tool starts them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., tuple[subprocess.CompletedProcess[str], Any]]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """What ``django-admin startproject mysite`` makes."""
    root = tmp_path / "site"
    root.mkdir()
    subprocess.run([sys.executable, "-m", "django", "startproject", "mysite", str(root)], check=True, cwd=tmp_path)
    return root


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Runs a module through the launcher in the project's folder; the process and its JSON answer (None when there is none)."""

    def run_module(
        *arguments: str, offer: dict[str, Any] | None = None, variables: dict[str, str] | None = None
    ) -> tuple[subprocess.CompletedProcess[str], Any]:
        answer = tmp_path / "answer.json"
        answer.unlink(missing_ok=True)
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("SLIPSTREAM_", "DJANGO_", "CELERY_"))
        }
        environment = {**inherited, "SLIPSTREAM_ANSWER": str(answer), **(variables or {})}
        if offer is not None:
            document = tmp_path / "overlay.json"
            document.write_text(json.dumps({"protocol": 1, **offer}))
            environment |= {
                "DJANGO_SETTINGS_MODULE": "slipstream.overlay",
                "SLIPSTREAM_SETTINGS": "mysite.settings",
                "SLIPSTREAM_OVERLAY": str(document),
            }
        done = subprocess.run(
            [sys.executable, "-m", "slipstream.launch", *arguments],
            cwd=site,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done, json.loads(answer.read_text()) if answer.exists() else None

    return run_module


@pytest.fixture
def survey(run: Run) -> Callable[..., Any]:
    """The survey's answer; its exit code must agree with it."""

    def ask(*arguments: str) -> Any:
        done, answer = run("slipstream.survey", "--settings", "mysite.settings", *arguments)
        assert answer is not None, done.stderr
        assert done.returncode == (1 if "problem" in answer else 0)
        return answer

    return ask
