"""What a logical cache did, counted in this process, for instruments and for tests."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(slots=True)
class CacheCounts:
    """Events since the process started. Threads may lose a count to each other; nothing but reports depends on them."""

    hits: int = 0
    misses: int = 0
    faults: int = 0  # reads that missed because a server could not be asked
    lost_writes: int = 0  # writes that did nothing for that reason
    recomputed: int = 0  # values computed under a claim
    served_previous: int = 0  # expired values served while another process recomputed them
    waited: int = 0  # values that another process computed while this one waited
    waited_in_vain: int = 0  # waits that reached their bound
    superseded: int = 0  # computed values not stored, because the key was written, deleted or bumped meanwhile


_counts: dict[str, CacheCounts] = {}


def counts_of(prefix: str) -> CacheCounts:
    """Return the counts of the logical cache with this KEY_PREFIX."""
    return _counts.setdefault(prefix, CacheCounts())


def cache_counts() -> dict[str, dict[str, int]]:
    """Return the counts of every logical cache that this process used, by its KEY_PREFIX."""
    return {
        prefix: {count.name: getattr(counts, count.name) for count in fields(CacheCounts)} for prefix, counts in _counts.items()
    }
