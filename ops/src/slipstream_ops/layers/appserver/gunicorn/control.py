"""Exchanges the workers of a running gunicorn instance one after the other and waits until all of them are new.

``python -m slipstream_ops.layers.appserver.gunicorn.control RUN_FOLDER CONFIGURATION PROCESSES TIMEOUT_SECONDS``. gunicorn's
own reload (HUP) ends the old workers before the new ones have loaded the project, and visitors wait as long. So one worker
is added (TTIN), and the oldest is sent away (TTOU) once the new one is ready. A changed configuration needs the HUP.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.appserver.gunicorn.look import read_number, workers_of


def reload_instance(run: Path, configuration: Path, processes: int, timeout_seconds: float) -> None:
    """Returns when every worker is a new one and ready for requests; ``Complaint`` when that is not so in time."""
    doing = f"reloading the app server {run.name}"
    pidfile = run / "master.pid"
    master = read_number(pidfile)
    old = [worker["pid"] for worker in workers_of(run)]
    if not old:
        raise Complaint(doing, "it is not running", "Start it with `slipstream up`")
    end = time.monotonic() + timeout_seconds

    def wait_for(is_so: Callable[[], bool]) -> None:
        while not is_so():
            if time.monotonic() > end or not workers_of(run):
                raise Complaint(
                    doing,
                    f"its workers were not all exchanged within {timeout_seconds:.0f} s",
                    f"See its log: slipstream logs {run.name}",
                )
            time.sleep(0.03)

    def new_and_ready() -> set[int]:
        return {worker["pid"] for worker in workers_of(run) if worker["pid"] not in old and worker["cells"] is not None}

    def remaining() -> set[int]:
        return {worker["pid"] for worker in workers_of(run)} & set(old)

    if configuration.stat().st_mtime > pidfile.stat().st_mtime:
        os.kill(master, signal.SIGHUP)
        pidfile.touch()  # its time says which configuration is in force
    else:
        for number in range(1, len(old) + 1):
            os.kill(master, signal.SIGTTIN)
            wait_for(lambda number=number: len(new_and_ready()) >= number)  # type: ignore[misc]
            os.kill(master, signal.SIGTTOU)
            wait_for(lambda number=number: len(remaining()) <= len(old) - number)  # type: ignore[misc]
    wait_for(lambda: len(new_and_ready()) == len(workers_of(run)) == processes)


def main() -> int:
    run, configuration, processes, timeout = sys.argv[1:]
    try:
        reload_instance(Path(run), Path(configuration), int(processes), float(timeout))
    except Complaint as complaint:
        print(complaint, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
