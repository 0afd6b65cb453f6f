"""Every example of docs/caching.md runs, against a real Redis."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from cache_servers import running

PAGE = Path(__file__).parents[3] / "docs" / "caching.md"


def test_the_examples_of_the_caching_page_run() -> None:
    script = Path(__file__).parent / "docs_examples.py"
    with running("redis") as server:
        command = [sys.executable, str(script), str(PAGE), str(server.port)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stderr
    assert int(run.stdout.split()[0]) >= 15
