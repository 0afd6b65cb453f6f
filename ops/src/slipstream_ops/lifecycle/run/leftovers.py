"""Processes that a crash left behind: written down while the stack runs, known by pid and birth, ended before a new start."""

from __future__ import annotations

import contextlib
import json

import psutil

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import write_file
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import State
from slipstream_ops.supervision.supervisord import Supervisor

STOP_SECONDS = 10


def write_down(state: State, supervisor: Supervisor) -> None:
    """Record every service's pid with its time of birth: a pid alone may be somebody else's by tomorrow.

    On a full disk the record stays as it was: that is no reason to end a site that runs.
    """
    rows = []
    for found in supervisor.states().values():
        if found.pid:
            try:
                rows.append({"service": found.name, "pid": found.pid, "born": psutil.Process(found.pid).create_time()})
            except psutil.Error:
                continue
    with contextlib.suppress(Complaint):
        write_file(File(state.run / "processes.json", json.dumps(rows) + "\n"))


def end_leftovers(state: State) -> list[str]:
    """End the services of a stack whose process manager died; names of those ended, ``ours`` by pid and birth only."""
    path = state.run / "processes.json"
    try:
        rows = json.loads(path.read_text())
    except (OSError, ValueError):
        return []
    ended, alive = [], []
    for row in rows:
        try:
            process = psutil.Process(row["pid"])
            if abs(process.create_time() - row["born"]) > 1:
                continue
            family = [*process.children(recursive=True), process]
            process.terminate()
        except (psutil.Error, KeyError, TypeError):
            continue
        ended.append(str(row["service"]))
        alive += family
    _, stubborn = psutil.wait_procs(alive, timeout=STOP_SECONDS)
    for process in stubborn:
        try:
            process.kill()
        except psutil.Error:
            continue
    with contextlib.suppress(PermissionError):  # another user's
        path.unlink(missing_ok=True)
    return ended
