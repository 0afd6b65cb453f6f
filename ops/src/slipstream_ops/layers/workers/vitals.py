"""The workers' numbers at one instant, whatever product runs them. How long queues are, the broker tells."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerVitals:
    """One worker: a parent and the processes that carry out tasks. ``done``: tasks since it started, by name."""

    name: str
    pid: int
    uptime_seconds: float
    processes: int
    done: dict[str, int]
    resident_peak_bytes: int | None


@dataclass(frozen=True)
class WorkersVitals:
    """Workers that answered; one that is missing is stopped, or stuck."""

    online: tuple[WorkerVitals, ...]

    @property
    def done(self) -> int:
        return sum(sum(worker.done.values()) for worker in self.online)
