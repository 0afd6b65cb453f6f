"""The cache's numbers at one instant, whichever product it is; what a product cannot tell is None."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CacheVitals:
    """Counters (hits, misses, evictions, refused clients, operations) run since the server's start."""

    memory_used_bytes: int | None
    memory_max_bytes: int | None
    memory_resident_bytes: int | None
    hits: int | None
    misses: int | None
    evictions: int | None
    keys: int | None
    clients: int | None
    clients_max: int | None
    clients_refused: int | None
    operations: int | None
    operations_per_second: int | None
    uptime_seconds: int | None

    @property
    def hit_ratio(self) -> float | None:
        """Hits over lookups since the server's start, 0 to 1; None before the first lookup."""
        if self.hits is None or self.misses is None or not self.hits + self.misses:
            return None
        return self.hits / (self.hits + self.misses)
