"""Celery: one worker for each queue by priority; beat runs inside the first one when the project schedules anything.

Its configuration is the command line, so that nothing of the project's own is replaced: what the project sets in its Celery
application (serialisers, routes, acks_late) stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from slipstream import wire
from slipstream_ops.layers.application.django import environment, project_command, reads, writes
from slipstream_ops.layers.contract import (
    Action,
    Command,
    CommandProbe,
    EndpointNeed,
    File,
    Lent,
    Requirement,
    Restart,
    Service,
    VitalsSource,
)
from slipstream_ops.layers.workers.celery.parse import parse
from slipstream_ops.layers.workers.celery.sizing import (
    HARD_LIMIT_MARGIN_SECONDS,
    OPEN_FILES,
    SOFT_LIMITS_SECONDS,
    STOP_SECONDS,
    processes_of,
    sizes,
)
from slipstream_ops.placement import Host, Stack, product_named
from slipstream_ops.stack import StackFile

__all__ = ["parse", "sizes"]

TITLE = "Celery"
REQUIREMENTS: tuple[Requirement, ...] = ()
LENDS: tuple[Lent, ...] = ()  # Celery is the project's own, the client comes with the broker

CELERY_DEFAULT_QUEUE = "celery"
BEAT = "beat"
BEAT_QUEUE = "high"


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return ()


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    """Nothing: the command line says it all."""
    return ()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """The application loads with the stack's settings."""
    return (
        Command(
            celery(stack, "report"),
            why="loading the project's Celery application",
            environment=environment(stack, host),
            directory=stack.project.root,
            account="app",
        ),
    )


def celery(stack: Stack, *arguments: str) -> tuple[str, ...]:
    return project_command(stack, "celery", "--app", stack.project.celery or "", "--skip-checks", "--quiet", *arguments)


def queues_of(stack: Stack, queue: str) -> tuple[str, ...]:
    """What the worker of a priority consumes. Tasks that name no queue and those of the project's own queues are ``default``."""
    if queue != "default":
        return (queue,)
    others = [name for name in stack.project.queues if name not in wire.QUEUES]
    return tuple(dict.fromkeys((queue, *(others or [CELERY_DEFAULT_QUEUE]))))


def worker_command(stack: Stack, host: Host, queue: str) -> tuple[str, ...]:
    number = {sized.name: sized.value for sized in sizes(stack, host)}
    soft = SOFT_LIMITS_SECONDS[queue]
    return celery(
        stack,
        "worker",
        f"--hostname=workers-{queue}@%h",
        f"--queues={','.join(queues_of(stack, queue))}",
        f"--concurrency={processes_of(stack, queue)}",
        "--pool=prefork",  # the only one with time limits, and safe for code that is not thread-safe
        "--optimization=fair",
        f"--prefetch-multiplier={number['prefetch-multiplier']}",
        f"--max-tasks-per-child={number['max-tasks-per-child']}",
        f"--max-memory-per-child={number['max-memory-per-child']}",
        f"--soft-time-limit={soft}",
        f"--time-limit={soft + HARD_LIMIT_MARGIN_SECONDS}",
        # Workers that know of each other: broadcasts every few seconds that nothing here uses. The process manager watches.
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
        *beat_options(stack, host, queue),
    )


def beat_options(stack: Stack, host: Host, queue: str) -> tuple[str, ...]:
    """Beat as a child of the worker for people who wait, whose tasks are the shortest: nothing when there is no schedule.

    A beat of its own would load the whole project once more (49 MB on the gazette; a child of a worker shares its pages).
    One beat in the whole stack: two would send each scheduled task twice.
    """
    is_here = queue == BEAT_QUEUE and stack.project.has_schedule and host == stack.host_of("workers")
    return ("--beat", f"--schedule={stack.state.data / BEAT / 'schedule'}") if is_here else ()


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return tuple(service_of(stack, host, queue) for queue in wire.QUEUES)


def service_of(stack: Stack, host: Host, queue: str) -> Service:
    name = f"workers-{queue}"
    ready = stack.state.run / name / "ready"
    folders = (stack.state.run / name, *([stack.state.data / BEAT] if beat_options(stack, host, queue) else []))
    return Service(
        name=name,
        layer="workers",
        command=worker_command(stack, host, queue),
        account="app",
        # Exists from when it has its broker until it stops. `celery inspect ping` would cost a second of processor time.
        probe=CommandProbe(Command(("test", "-e", str(ready)), why=f"looking whether {name} is ready")),
        environment={**environment(stack, host), **unhurried(stack), wire.READY_VARIABLE: str(ready)},
        directory=stack.project.root,
        folders=folders,
        reads=reads(stack),
        writes=writes(stack),
        stop_timeout_seconds=STOP_SECONDS,
        start_timeout_seconds=60,
        open_files=OPEN_FILES,
    )


def unhurried(stack: Stack) -> Mapping[str, str]:
    """Variables that lift the database's limits on a request's statements: nobody waits for a page here."""
    product: Any = product_named("database", stack.server_of("database") or "external")
    return getattr(product, "UNHURRIED", {})


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """A warm restart, one after the other: tasks in progress are finished, those in the queue wait the seconds it takes."""
    return tuple(Restart(service.name) for service in services(stack, host))


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """The workers' own statistics, asked through the broker; about a second each time, so not for every tick of a screen."""
    ask = Command(
        celery(stack, "inspect", "stats", "--json", "--timeout", "1"),
        why="asking the workers for their numbers",
        environment=environment(stack, host),
        directory=stack.project.root,
        account="app",
        timeout_seconds=15,
    )
    return (VitalsSource("workers", ask),)
