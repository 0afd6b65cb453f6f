"""gunicorn's tuned numbers, each with its formula and reason."""

from __future__ import annotations

from dataclasses import replace

from slipstream_ops.layers.contract import Sized
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import app_processes

OPEN_FILES = 4096


def worker_class(stack: Stack) -> Sized:
    if stack.project.asgi:
        return Sized("worker_class", "slipstream.serving.worker.AsgiWorker", "the project is ASGI only", "uvicorn's event loop")
    if stack.config.appserver.threads > 1:
        return Sized("worker_class", "gthread", "[appserver] threads over 1", "several requests in one process at a time")
    return Sized(
        "worker_class",
        "sync",
        "[appserver] threads = 1",
        "one request a process, and the master ends the process of one that takes too long; with gthread it would not see it",
    )


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    config = stack.config.appserver
    timeout = config.request_timeout_seconds
    return (
        replace(app_processes(host, config.processes, config.instances), name="workers"),
        worker_class(stack),
        Sized("threads", config.threads, "[appserver] threads", "1 is safe; more only when all code is thread-safe"),
        Sized("timeout", timeout, "request_timeout_seconds", "a runaway request is ended; the layers above wait longer"),
        Sized(
            "graceful_timeout",
            timeout + 2,
            "request_timeout_seconds + 2",
            "at a reload or stop a request in progress may use its whole time; the master looks once a second",
        ),
        Sized(
            "keepalive",
            75 if stack.project.asgi else 0,
            "over the balancer's 60 s for ASGI, else none",
            "an idle connection of an event loop costs nothing, and the balancer ends it first"
            if stack.project.asgi
            else "a kept connection belongs to one process: a request on it would wait there while another process is idle",
        ),
        Sized(
            "backlog",
            1024,
            "fixed, at most net.core.somaxconn (4096 on Linux from 5.4)",
            "connections that wait while all workers are busy or reload",
        ),
        Sized(
            "limit_request_field_size",
            32768,
            "the accelerator's largest request head",
            "many cookies; gunicorn's 8190 answers them with 400",
        ),
        Sized(
            "limit_request_fields", 128, "the accelerator's http_max_hdr", "as many header lines as the layers in front let in"
        ),
        Sized(
            "max_requests",
            100_000,
            "fixed, hours at a busy site",
            "a stop-gap for leaks only: every new worker starts with cold templates and connections",
        ),
        Sized("max_requests_jitter", 5_000, "max_requests / 20", "workers do not end all at once"),
    )
