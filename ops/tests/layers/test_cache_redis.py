"""The cache on a real Redis: what it forgets, what the application may not do, and that its checker is one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from slipstream_ops.layers.cache.vitals import CacheVitals
from slipstream_ops.placement import Stack
from workshop import make_stack


class TestCacheRedis(ProductContract):
    layer, server = "cache", "redis"
    recorded, vitals_type = "redis-cache.txt", CacheVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder, {"cache": {"server": "redis"}}, layers=frozenset({"cache", "broker"}))

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.memory_max_bytes == 1450 << 20
        assert (vitals.hits, vitals.misses, vitals.hit_ratio) == (1, 1, 0.5)
        assert (vitals.keys, vitals.clients_max, vitals.evictions) == (3, 1000, 0)
