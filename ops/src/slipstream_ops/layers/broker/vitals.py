"""The broker's numbers at one instant, whichever product it is; what a product cannot tell is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class BrokerVitals:
    """``queues`` are tasks waiting, by queue; ``unacknowledged`` are tasks that a worker took and has not finished."""

    queues: Mapping[str, int]
    unacknowledged: int | None
    memory_used_bytes: int | None
    memory_max_bytes: int | None
    clients: int | None
    clients_max: int | None
    clients_refused: int | None
    is_loading: bool | None  # reads its file after a start, answers nothing yet
    is_kept_on_disk: bool | None  # enqueued work survives the end of the process
    last_write_succeeded: bool | None  # of that file
    uptime_seconds: int | None

    @property
    def waiting(self) -> int:
        """Tasks waiting, over all queues."""
        return sum(self.queues.values())
