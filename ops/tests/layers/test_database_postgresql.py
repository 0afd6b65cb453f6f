"""The database on a real PostgreSQL: its users, its limits, and that nothing committed is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from slipstream_ops.layers.database.vitals import DatabaseVitals
from slipstream_ops.placement import Stack
from workshop import make_stack


class TestDatabasePostgresql(ProductContract):
    layer, server = "database", "postgresql"
    recorded, vitals_type = "postgresql.json", DatabaseVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder, {"database": {"server": "postgresql"}}, layers=frozenset({"database", "cache"}))

    def assert_recorded(self, vitals: Any) -> None:
        assert (vitals.connections, vitals.connections_max) == (0, 41)
        assert vitals.oldest_transaction_seconds is None
        assert 0.99 < vitals.cache_hit_ratio < 1
        assert vitals.size_bytes > 7_000_000
