"""Celery's tuned numbers, each with its formula and reason."""

from __future__ import annotations

from slipstream import wire
from slipstream_ops.layers.contract import Sized
from slipstream_ops.placement import Host, Stack

HARD_LIMIT_MARGIN_SECONDS = 30
"""Between the exception that a task may clean up after and the end of its process."""

SOFT_LIMITS_SECONDS = {"high": 300, "default": 3600, "low": 4 * 3600}
"""Of tasks that name no limit of their own: nobody waits five minutes, and nothing blocks a queue for ever."""

OPEN_FILES = 1024
STOP_SECONDS = 60


def processes_of(stack: Stack, queue: str) -> int:
    return int(getattr(stack.config.workers, queue))


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    own = tuple(
        Sized(
            f"{queue}: concurrency", processes_of(stack, queue), f"[workers] {queue}", "a queue's tasks never wait for another's"
        )
        for queue in wire.QUEUES
    )
    limits = tuple(
        Sized(
            f"{queue}: soft-time-limit",
            SOFT_LIMITS_SECONDS[queue],
            f"fixed; the hard limit is {HARD_LIMIT_MARGIN_SECONDS} s later",
            "a stuck task is ended; a task's own limit wins",
        )
        for queue in wire.QUEUES
    )
    return (
        *own,
        *limits,
        Sized(
            "prefetch-multiplier", 1, "fixed", "a task in hand is one that runs: none waits behind a slow one while others idle"
        ),
        Sized("max-tasks-per-child", 1000, "fixed", "a stop-gap for leaks only: each new process starts with cold connections"),
        Sized(
            "max-memory-per-child",
            300 * 1024,
            "300 MB, in KB",
            "a Python process over 300 MB has loaded too much at once; it is exchanged after its task",
        ),
        Sized("stop", STOP_SECONDS, "fixed, in seconds", "tasks in progress are finished at a stop; longer ones are cut off"),
    )
