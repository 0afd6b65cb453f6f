"""What the app server calls in a worker's life and around each WSGI request: readiness, counting, runaway requests."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from slipstream import wire
from slipstream.serving import requestlog, scoreboard
from slipstream.serving.scoreboard import Scoreboard

PR_SET_PDEATHSIG = 1
LOADING_SECONDS = 300
"""A project that has not loaded by then never will; until then the limit for requests does not end its worker."""

board: Scoreboard | None = None
is_loaded = threading.Event()
started: dict[int, float] = {}
"""When the request of each thread began, on the monotonic clock."""


# In the master --------------------------------------------------------------------------------------------------------
def on_starting(server: Any) -> None:
    if folder := scoreboard.instance_folder():
        scoreboard.clear(folder)


def child_exit(server: Any, worker: Any) -> None:
    if folder := scoreboard.instance_folder():
        scoreboard.retire(folder, worker.pid)


# In a worker ----------------------------------------------------------------------------------------------------------
def post_fork(server: Any, worker: Any) -> None:
    end_with_master(server.pid)
    threading.Thread(target=report_while_loading, args=(worker,), daemon=True).start()


def end_with_master(master: int) -> None:
    """The kernel ends this worker when its master was killed, so that the address is free for the next one at once."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != master:
            os.kill(os.getpid(), signal.SIGTERM)


def report_while_loading(worker: Any) -> None:
    """The master ends whoever is silent for longer than a request may take; loading a large project takes longer."""
    end = time.monotonic() + LOADING_SECONDS
    while not is_loaded.wait(0.25) and time.monotonic() < end:
        worker.tmp.notify()


def post_worker_init(worker: Any) -> None:
    """The project is loaded: from now on the worker takes requests, and its scoreboard says so."""
    global board
    if folder := scoreboard.instance_folder():
        board = Scoreboard(scoreboard.board_of(folder, os.getpid()))
    is_loaded.set()
    if worker.cfg.worker_class_str == "gthread":
        # Its main thread reports to the master whatever its threads do: runaway requests are for this one to see.
        threading.Thread(target=watch_for_runaways, args=(worker.cfg.timeout, worker.log), daemon=True).start()


def watch_for_runaways(limit_seconds: float, log: Any) -> None:
    while True:
        time.sleep(0.25)
        oldest = min(started.copy().values(), default=None)
        if oldest is not None and time.monotonic() - oldest > limit_seconds:
            log.critical("a request took longer than %s s: worker %s is ended", limit_seconds, os.getpid())
            if board:
                board.add(killed=1)
            os._exit(70)  # threads cannot be ended one by one; EX_SOFTWARE


def worker_abort(worker: Any) -> None:
    """The master ends this worker because its request takes too long."""
    if board:
        board.add(killed=1)


def pre_request(worker: Any, request: Any) -> None:
    started[threading.get_ident()] = time.monotonic()
    if board:
        board.add(busy=1)


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:
    started.pop(threading.get_ident(), None)
    if board:
        board.add(busy=-1)


class RequestLogger(Logger):  # type: ignore[misc]
    """Errors to stderr as always; requests as JSON lines, and counted. Health checks are no visits."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        path = environ.get("RAW_URI", "").partition("?")[0]
        if path == wire.HEALTH_PATH:
            return
        microseconds = int(request_time.total_seconds() * 1e6)
        # An answer that gunicorn makes by itself has a status line only.
        status = getattr(resp, "status_code", None) or int(str(resp.status).partition(" ")[0])
        if board:
            failures = int(status >= 500)
            board.add(requests=1, exceptions=failures, microseconds=microseconds, sent_bytes=resp.sent or 0)
        requestlog.write_line(
            request_id=environ.get("HTTP_X_REQUEST_ID", ""),
            client=requestlog.first_address(environ.get("HTTP_X_FORWARDED_FOR", ""), environ.get("REMOTE_ADDR", "")),
            method=environ.get("REQUEST_METHOD", ""),
            path=path,
            status=status,
            milliseconds=microseconds // 1000,
            sent_bytes=resp.sent or 0,
        )
