"""``status``: each service with its address, process, memory and health, read from the running stack."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from slipstream_ops.execution import find_fault
from slipstream_ops.layers.contract import Service
from slipstream_ops.placement import Stack
from slipstream_ops.supervision.supervisord import ServiceState, Supervisor


@dataclass(frozen=True)
class Row:
    """One service as the table shows it. ``memory_bytes`` is proportional (shared pages counted once over all sharers)."""

    service: str
    layer: str
    address: str
    pid: int
    memory_bytes: int | None
    state: str  # healthy, starting, unhealthy, stopped, restarting
    seconds: float
    reason: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def look(stack: Stack, services: tuple[Service, ...], supervisor: Supervisor, with_health: bool = True) -> list[Row]:
    """Rows for all services, their probes asked side by side."""
    states = supervisor.states()
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
        return list(pool.map(lambda service: _row(stack, service, states.get(service.name), supervisor, with_health), services))


def _row(stack: Stack, service: Service, found: ServiceState | None, supervisor: Supervisor, with_health: bool) -> Row:
    address = ", ".join(stack.endpoint(name).netloc for name in service.listens)
    if found is None or not found.pid:
        word = "restarting" if found and found.state == "BACKOFF" else "stopped"
        return Row(service.name, service.layer, address, 0, None, word, 0.0, found.reason if found else "")
    fault = find_fault(service.probe, supervisor.seconds_running) if with_health else None
    word = "healthy" if fault is None else ("starting" if found.seconds < service.start_timeout_seconds else "unhealthy")
    return Row(service.name, service.layer, address, found.pid, memory_of(found.pid), word, found.seconds, fault or "")


def memory_of(pid: int) -> int | None:
    """Proportional memory of a process and its children, in bytes; None when it may not be read."""
    total = 0
    try:
        process = psutil.Process(pid)
        for member in [process, *process.children(recursive=True)]:
            try:
                total += int(member.memory_full_info().pss)
            except psutil.NoSuchProcess:
                continue
    except psutil.Error:
        return None
    return total
