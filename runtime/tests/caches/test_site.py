"""A whole site on each backend: its sessions are warm without a query and survive the cache, its load notices nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="module", params=["redis", "memcached"])
def report(request: pytest.FixtureRequest) -> dict[str, Any]:
    """In a process of its own, because it has settings of its own."""
    script = Path(__file__).parent / "small_site.py"
    run = subprocess.run([sys.executable, str(script), request.param], capture_output=True, text=True, timeout=180)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_a_warm_session_asks_the_database_nothing(report: dict[str, Any]) -> None:
    assert report["warm"] == [0, "Ada"]
    assert report["after_clearing_another_cache"] == [0, "Ada"]


def test_no_session_is_lost_with_the_cache(report: dict[str, Any]) -> None:
    assert report["without_server"] == [1, "Ada"]
    assert report["after_restart"] == [1, "Ada"]
    assert report["warm_again"] == [0, "Ada"]


def test_no_request_fails_when_the_server_is_killed_under_load(report: dict[str, Any]) -> None:
    assert report["failures"] == []
    assert report["requests"] > 800
    (counts,) = report["servers"].values()
    assert counts["ejections"] >= 1
    assert counts["returns"] >= 1
