"""Prints one instance's workers as JSON: the master's children, their scoreboards, the kernel's queue of its address.

``python -m slipstream_ops.layers.appserver.gunicorn.look RUN_FOLDER PORT BACKLOG``.
"""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil

from slipstream.wire import KILLED_FILE, SCOREBOARD_FIELDS

SOMAXCONN = Path("/proc/sys/net/core/somaxconn")
LISTENING = "0A"


def look(run: Path, port: int, backlog: int) -> dict[str, Any]:
    """The instance as it is now; ``workers`` is empty while no master runs."""
    with suppress(OSError, ValueError):
        backlog = min(backlog, int(SOMAXCONN.read_text()))
    return {
        "queue": queue_of(port),
        "queue_limit": backlog,
        "killed": read_number(run / KILLED_FILE),
        "workers": workers_of(run),
    }


def workers_of(run: Path) -> list[dict[str, Any]]:
    """Oldest first; ``cells`` is None while the worker still loads the project."""
    workers = []
    with suppress(psutil.NoSuchProcess, OSError, ValueError):
        for child in psutil.Process(read_number(run / "master.pid")).children():
            with suppress(psutil.NoSuchProcess):
                if child.status() != psutil.STATUS_ZOMBIE:
                    resident, born = child.memory_info().rss, child.create_time()
                    workers.append(
                        {"pid": child.pid, "born": born, "resident": resident, "cells": read_cells(run / str(child.pid))}
                    )
    return sorted(workers, key=lambda worker: (worker["born"], worker["pid"]))


def read_cells(path: Path) -> dict[str, int] | None:
    try:
        return dict(zip(SCOREBOARD_FIELDS, memoryview(path.read_bytes()).cast("Q"), strict=True))
    except (OSError, TypeError, ValueError):
        return None


def read_number(path: Path) -> int:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return 0


def queue_of(port: int) -> int | None:
    """Connections that wait to be accepted: the kernel shows them as what a listening socket has received."""
    for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6")):
        with suppress(OSError):
            for line in table.read_text().splitlines()[1:]:
                _, local, _, state, queues, *_ = line.split()
                if state == LISTENING and int(local.rpartition(":")[2], 16) == port:
                    return int(queues.partition(":")[2], 16)
    return None


def main() -> int:
    run, port, backlog = sys.argv[1:]
    print(json.dumps(look(Path(run), int(port), int(backlog))))
    return 0


if __name__ == "__main__":
    sys.exit(main())
