"""Processes that a crash left behind: written down while the stack runs, known by pid and birth, ended before a new start."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import psutil

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import write_file
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import State
from slipstream_ops.supervision.supervisord import SERVICE_VARIABLE, STATE_VARIABLE, Supervisor

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
    """End the services of a stack whose process manager died; names of those ended.

    Ours are those written down (same pid, same birth), and orphans that carry this stack's mark in their environment or
    work in its data: a service that was restarted after the last record is among these.
    """
    found = {**_orphans(state), **_written_down(state)}
    alive = []
    for process in found.values():
        with contextlib.suppress(psutil.Error):
            alive += [*process.children(recursive=True), process]
            process.terminate()
    _, stubborn = psutil.wait_procs(alive, timeout=STOP_SECONDS)
    for process in stubborn:
        with contextlib.suppress(psutil.Error):
            process.kill()
    with contextlib.suppress(PermissionError):  # another user's
        (state.run / "processes.json").unlink(missing_ok=True)
    return sorted(found)


def _written_down(state: State) -> dict[str, psutil.Process]:
    try:
        rows = json.loads((state.run / "processes.json").read_text())
    except (OSError, ValueError):
        return {}
    found = {}
    for row in rows:
        with contextlib.suppress(psutil.Error, KeyError, TypeError):
            process = psutil.Process(row["pid"])
            if abs(process.create_time() - row["born"]) <= 1:
                found[str(row["service"])] = process
    return found


def _orphans(state: State) -> dict[str, psutil.Process]:
    """Processes without a parent of their own that belong to this stack, by service.

    A server that writes over its environment (to show a title) is known by its working folder: below the stack's data.
    """
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.ppid() != 1:
                continue
            variables = process.environ()
            if variables.get(STATE_VARIABLE) == str(state.root):
                found[variables.get(SERVICE_VARIABLE, str(process.pid))] = process
            elif Path(process.cwd()).is_relative_to(state.data):
                found[(Path(process.cwd()).relative_to(state.data).parts or (str(process.pid),))[0]] = process
    return found
