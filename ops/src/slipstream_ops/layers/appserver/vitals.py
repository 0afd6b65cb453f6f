"""The app server's numbers at one instant, whatever product it is."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class WorkerVitals:
    """One worker process. ``resident_bytes`` None: the product does not tell."""

    pid: int
    is_busy: bool
    is_accepting: bool
    requests: int
    exceptions: int
    killed_for_time: int  # requests ended because they took too long, since this worker's slot exists
    respawns: int
    average_milliseconds: float
    resident_bytes: int | None
    sent_bytes: int


@dataclass(frozen=True)
class AppServerVitals:
    """One instance. ``listen_queue``: connections waiting to be accepted, now; ``listen_queue_limit``: the most that may wait."""

    listen_queue: int | None
    listen_queue_limit: int | None
    listen_queue_errors: int | None
    workers: tuple[WorkerVitals, ...]

    @property
    def busy(self) -> int:
        return sum(worker.is_busy for worker in self.workers)

    @property
    def requests(self) -> int:
        return sum(worker.requests for worker in self.workers)

    @property
    def exceptions(self) -> int:
        return sum(worker.exceptions for worker in self.workers)

    @property
    def killed_for_time(self) -> int:
        return sum(worker.killed_for_time for worker in self.workers)

    @property
    def sent_bytes(self) -> int:
        return sum(worker.sent_bytes for worker in self.workers)

    @property
    def average_milliseconds(self) -> float:
        """Of the workers' running averages, weighted by their requests."""
        return sum(worker.average_milliseconds * worker.requests for worker in self.workers) / max(1, self.requests)
