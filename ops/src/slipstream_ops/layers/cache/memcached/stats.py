"""What Memcached answers to ``stats`` and ``stats slabs``, as the cache's numbers."""

from __future__ import annotations

from collections.abc import Mapping

from slipstream_ops.layers.cache.vitals import CacheVitals

COMMANDS = ("stats", "stats slabs")

COUNTED = ("cmd_get", "cmd_set", "cmd_touch", "cmd_meta", "delete_hits", "delete_misses", "incr_hits", "incr_misses", "decr_hits")
"""Disjoint counters of single operations; a ``get`` of many keys counts once for each."""


def read_stats(raw: str) -> Mapping[str, str]:
    """The lines ``STAT name value`` by name; other lines (END, ERROR) are left out."""
    lines = (line.split(" ", 2) for line in raw.splitlines() if line.startswith("STAT "))
    return {words[1]: words[2] for words in lines if len(words) == 3}


def parse(raw: str) -> CacheVitals:
    """The cache's numbers from the answers to ``COMMANDS``. Memcached measures no times and no rate: those are None."""
    stats = read_stats(raw)

    def number(name: str) -> int | None:
        value = stats.get(name, "")
        return int(value) if value.isdigit() else None

    counted = [count for name in COUNTED if (count := number(name)) is not None]
    return CacheVitals(
        memory_used_bytes=number("bytes"),
        memory_max_bytes=number("limit_maxbytes"),
        # Pages that were taken for values, full or not: never given back. The process's own part is not told.
        memory_resident_bytes=number("total_malloced"),
        hits=number("get_hits"),
        misses=number("get_misses"),
        evictions=number("evictions"),
        keys=number("curr_items"),
        clients=number("curr_connections"),
        clients_max=number("max_connections"),
        clients_refused=number("rejected_connections"),
        operations=sum(counted) if counted else None,
        operations_per_second=None,
        uptime_seconds=number("uptime"),
    )
