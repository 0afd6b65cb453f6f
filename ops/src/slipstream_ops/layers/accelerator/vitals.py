"""The accelerator's numbers at one instant, whichever product it is; what a product cannot tell is None."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class BackendVitals:
    """One place that pages are fetched from."""

    name: str
    is_healthy: bool | None  # None: it is not probed
    requests: int | None
    connections: int | None
    failures: int | None


@dataclass(frozen=True)
class AcceleratorVitals:
    """Counters run since the start. ``hits`` contain ``grace_hits``; passes are requests that no copy could answer."""

    uptime_seconds: int | None
    requests: int | None
    hits: int | None
    grace_hits: int | None
    misses: int | None
    passes: int | None
    pipes: int | None
    own_answers: int | None  # redirects, missing addresses, error pages
    purges: int | None
    fetches: int | None
    fetches_failed: int | None
    objects: int | None
    objects_expired: int | None
    objects_evicted: int | None  # pushed out before their time: the memory is too small
    memory_used_bytes: int | None
    memory_free_bytes: int | None
    memory_transient_bytes: int | None  # answers that only pass through
    bytes_out: int | None
    sessions: int | None
    sessions_dropped: int | None
    sessions_queued: int | None
    threads: int | None
    threads_limited: int | None  # times that a thread was needed and the limit was reached
    restarts: int | None  # of the working process after a crash
    log_overruns: int | None
    backends: tuple[BackendVitals, ...]

    @property
    def hit_ratio(self) -> float | None:
        """Hits over hits, misses and passes, 0 to 1; None before the first request."""
        if self.hits is None or self.misses is None or self.passes is None:
            return None
        total = self.hits + self.misses + self.passes
        return self.hits / total if total else None
