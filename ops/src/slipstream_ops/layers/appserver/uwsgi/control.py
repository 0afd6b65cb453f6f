"""Exchanges the workers of a running uWSGI instance one after the other and waits until all of them are new.

``python -m slipstream_ops.layers.appserver.uwsgi.control RUN_FOLDER CONFIGURATION TIMEOUT_SECONDS``. A changed
configuration needs a new master: then the whole instance is executed again, on the same listening socket, so that requests
wait instead of failing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import exchange
from slipstream_ops.layers.appserver.uwsgi.parse import parse
from slipstream_ops.layers.appserver.vitals import AppServerVitals
from slipstream_ops.layers.contract import Exchange


def reload_instance(run: Path, configuration: Path, timeout_seconds: float) -> None:
    """Returns when every worker is a new one and accepts requests; ``Complaint`` when that is not so in time."""
    doing = f"reloading the app server {run.name}"
    before = look(run)
    if before is None:
        raise Complaint(doing, "it is not running", "Start it with `slipstream up`")
    old = {worker.pid for worker in before.workers}
    pidfile = run / "master.pid"
    if configuration.stat().st_mtime > pidfile.stat().st_mtime:
        os.kill(int(pidfile.read_text()), signal.SIGHUP)
        pidfile.touch()  # uWSGI writes it at its first start only; its time says which configuration is in force
    else:
        trigger = run / "reload"
        previous = trigger.stat().st_mtime if trigger.exists() else 0.0
        now = max(time.time(), int(previous) + 1.0)  # uWSGI compares whole seconds: two reloads in one would be one
        trigger.touch()
        os.utime(trigger, (now, now))

    def is_renewed() -> bool:
        now = look(run)
        return now is not None and all(worker.pid not in old and worker.is_accepting and worker.pid for worker in now.workers)

    if not wait_until(is_renewed, timeout_seconds):
        raise Complaint(
            doing,
            f"its workers were not all exchanged within {timeout_seconds:.0f} s",
            f"See its log: slipstream logs {run.name}",
        )


def look(run: Path) -> AppServerVitals | None:
    """The instance's vitals; None while it does not answer."""
    try:
        return parse(exchange(Exchange(run / "stats.sock", b"")).decode())
    except (OSError, ValueError):
        return None


def wait_until(is_true: Callable[[], bool], timeout_seconds: float) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def main() -> int:
    run, configuration, timeout = sys.argv[1:]
    try:
        reload_instance(Path(run), Path(configuration), float(timeout))
    except Complaint as complaint:
        print(complaint, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
