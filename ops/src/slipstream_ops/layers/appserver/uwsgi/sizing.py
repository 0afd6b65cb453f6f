"""uWSGI's tuned numbers, each with its formula and reason."""

from __future__ import annotations

from slipstream_ops.layers.contract import Sized
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import app_processes

OPEN_FILES = 4096


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    config = stack.config.appserver
    timeout = config.request_timeout_seconds
    return (
        app_processes(host, config.processes, config.instances),
        Sized(
            "threads",
            config.threads,
            "[appserver] threads",
            "1 is safe; more only when all code is thread-safe",
        ),
        Sized("harakiri", timeout, "request_timeout_seconds", "a runaway request is ended; the layers above wait longer"),
        Sized(
            "socket-timeout",
            timeout,
            "request_timeout_seconds",
            "a visitor on a slow line may read a page or send a form this slowly; uWSGI's 4 s would cut them off",
        ),
        Sized(
            "worker-reload-mercy",
            timeout + 2,
            "request_timeout_seconds + 2",
            "at a reload or stop a request in progress may use its whole time; harakiri looks once a second",
        ),
        Sized(
            "listen",
            1024,
            "fixed, at most net.core.somaxconn (4096 on Linux from 5.4)",
            "connections that wait while all workers are busy or reload; uWSGI's 100 refuses visitors at the first burst",
        ),
        Sized("buffer-size", 32768, "the accelerator's largest request head", "long URLs, many cookies; uWSGI's 4096 drops them"),
        Sized(
            "post-buffering",
            65536,
            "forms fit, uploads do not",
            "larger bodies wait on disk, and a view that does not read one cannot break the connection",
        ),
        Sized(
            "max-requests",
            100_000,
            "fixed, hours at a busy site",
            "a stop-gap for leaks only: every respawn starts with cold templates and connections",
        ),
        Sized("max-requests-delta", 5_000, "max-requests / 20", "workers do not respawn all at once"),
        Sized("offload-threads", 1, "one per worker", "files are sent by it, so that a slow download does not hold a worker"),
        Sized("max-fd", OPEN_FILES, "listen + files in flight, with room", "a full table would refuse connections"),
    )
