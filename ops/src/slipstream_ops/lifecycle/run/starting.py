"""Starts services tier by tier: each layer is healthy before the next one begins, and one that cannot start says why."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import make_folder, run_or_complain, wait_for
from slipstream_ops.layers.contract import Service
from slipstream_ops.placement import START_ORDER, Host, Stack, State, services_on
from slipstream_ops.supervision.supervisord import Supervisor

TIERS: tuple[frozenset[str], ...] = (
    frozenset({"database", "cache", "broker", "mail"}),
    frozenset({"appserver", "workers", "accelerator"}),
    frozenset({"edge"}),
)
"""Layers that start side by side; the application's own preparation (tables, static files) comes after the first."""

LEAST_FREE_BYTES = 256 << 20
"""Below this a database cannot promise to keep what it is told (a WAL segment alone is 16 MB)."""

ATTEMPTS_BEFORE_COMPLAINT = 2
QUOTED_LINES = 15
SEARCHED_BYTES = 64 << 10
"""How far back in a log the error is looked for: a server that is started again and again repeats it every few KB."""

TRACEBACK = "Traceback (most recent call last):"

Report = Callable[[str], None]


def refuse_full_disk(state: State) -> None:
    """Raise ``Complaint`` when there is too little room to start a database safely."""
    free = shutil.disk_usage(state.root).free
    if free < LEAST_FREE_BYTES:
        raise Complaint(
            f"looking at the disk that holds {state.root}",
            f"only {free >> 20} MB are free, and the stack needs {LEAST_FREE_BYTES >> 20} MB to start",
            "Make room; nothing was changed",
        )


def start_tier(stack: Stack, host: Host, supervisor: Supervisor, tier: frozenset[str], report: Report) -> None:
    """Start the services of ``tier`` on ``host`` side by side and wait until each is healthy. Raises the first ``Complaint``."""
    services = [service for service in services_on(stack, host) if service.layer in tier]
    if not services:
        return
    outcomes: dict[str, Future[None]] = {}

    def start_in_turn(service: Service) -> None:
        if service.follows in outcomes:
            outcomes[service.follows].result()
        start_service(service, stack.state, supervisor, report)

    with ThreadPoolExecutor(max_workers=len(services)) as pool:
        for service in services:  # a product names the service that others follow first
            outcomes[service.name] = pool.submit(start_in_turn, service)
        for outcome in outcomes.values():
            outcome.result()


def start_service(service: Service, state: State, supervisor: Supervisor, report: Report = lambda name: None) -> None:
    """Make its folders and first files, start it, wait for its probe, carry out what comes after. Raises ``Complaint``."""
    prepare_service(service, state)
    log = state.logs / f"{service.name}.log"
    began = log.stat().st_size if log.exists() else 0
    supervisor.start(service.name)
    await_health(service, supervisor, log, began)
    for command in service.after_start:
        run_or_complain(command)
    report(service.name)


def prepare_service(service: Service, state: State) -> None:
    make_folders(service, state)
    if service.first and (service.unless_exists is None or not service.unless_exists.exists()):
        for command in service.first:
            run_or_complain(command)


def make_folders(service: Service, state: State) -> None:
    """The service's folders. Its data (tasks, sessions, caught mail) is for its own user alone; sockets are for others, too."""
    for folder in service.folders:
        make_folder(folder, service.account, 0o700 if folder.is_relative_to(state.data) else 0o755)


def await_health(service: Service, supervisor: Supervisor, log: Path, log_began: int = 0) -> None:
    """Wait for the service's probe; a process that keeps ending is given up early. The complaint quotes its last words."""
    ended: list[str] = []
    last_pid = 0

    def has_not_failed() -> bool:
        nonlocal last_pid
        found = supervisor.states().get(service.name)
        if found is None or found.state in ("FATAL", "EXITED", "STOPPED"):
            ended.append("gone")
            return False
        if found.state == "BACKOFF" or (found.pid and last_pid and found.pid != last_pid):
            ended.append("again")
            last_pid = found.pid
            return len(ended) < ATTEMPTS_BEFORE_COMPLAINT * 4 and not _is_hopeless(supervisor, service.name, ended)
        last_pid = found.pid or last_pid
        return True

    fault = wait_for(service.probe, service.start_timeout_seconds, supervisor.seconds_running, has_not_failed)
    if fault is None:
        return
    quoted = last_words(log, log_began)
    reason = error_in(quoted) or fault
    found = (
        f"it does not stay up ({reason})" if ended else f"it is not healthy after {service.start_timeout_seconds} s ({reason})"
    )
    raise Complaint(f"starting {service.name}", found, f"See `slipstream logs {service.name}`", quoted)


def _is_hopeless(supervisor: Supervisor, name: str, ended: Sequence[str]) -> bool:
    found = supervisor.states().get(name)
    return found is not None and found.state == "FATAL"


def last_words(log: Path, began: int = 0) -> str:
    """The last lines that a service wrote since ``began`` (bytes): of its last Python error when there is one, else of all.

    A server says much about its own end after the project's error that was the cause of it.
    """
    try:
        with log.open("rb") as stream:
            stream.seek(max(began, log.stat().st_size - SEARCHED_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    if TRACEBACK in lines:
        first = len(lines) - 1 - lines[::-1].index(TRACEBACK)
        last = next((n for n in range(first + 1, len(lines)) if not lines[n].startswith(" ")), len(lines) - 1)
        lines = lines[first : last + 1]
    return "\n".join(lines[-QUOTED_LINES:])


def error_in(quoted: str) -> str:
    """The error that ends a quoted traceback ("RuntimeError: no key"); empty when the last line indents or names none."""
    last = quoted.rpartition("\n")[2]
    return last if re.match(r"[A-Za-z_][\w.]*(Error|Exception|Exit|Configured|Warning)\b", last) else ""


def stop_all(stack_services: Sequence[Service], supervisor: Supervisor, report: Report = lambda name: None) -> None:
    """Stop services in the opposite order of their start, tier by tier, each with its own signal and patience."""
    known = supervisor.states()
    for layer in reversed(START_ORDER):
        names = [service.name for service in stack_services if service.layer == layer and service.name in known]
        for name in names:
            if known[name].is_running or known[name].state == "BACKOFF":
                supervisor.stop(name, wait=False)
        deadline = time.monotonic() + max((s.stop_timeout_seconds for s in stack_services if s.name in names), default=0) + 5
        while names and time.monotonic() < deadline:
            states = supervisor.states()
            if not any(states[name].pid for name in names if name in states):
                break
            time.sleep(0.03)
        for name in names:
            report(name)
