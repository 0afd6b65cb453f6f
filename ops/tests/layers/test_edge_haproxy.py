"""HAProxy passes the contract of every product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from origin import front_stack
from slipstream_ops.layers.edge.vitals import EdgeVitals
from slipstream_ops.placement import Stack
from workshop import free_port


class TestHaproxy(ProductContract):
    layer = "edge"
    server = "haproxy"
    recorded = "haproxy.txt"
    vitals_type = EdgeVitals

    def make_stack(self, folder: Path) -> Stack:
        return front_stack(folder, ports=(free_port(), free_port()))

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.version.startswith("2.6")
        assert vitals.connections_max == 8000
        assert [entry.name for entry in vitals.entries] == ["visitors", "apps"]
        assert vitals.entries[0].answers["2xx"] == 7 and vitals.entries[0].answers["3xx"] == 1
        pools = {pool.name: pool for pool in vitals.pools}
        assert set(pools) == {"pages", "apps", "last_resort", "upgrades"}
        assert pools["apps"].servers_up == 2 and pools["apps"].requests == 5
        fallback = pools["pages"].servers[1]
        assert (fallback.name, fallback.is_backup, fallback.state) == ("fallback", True, "unchecked")
        assert pools["apps"].servers[0].check == "L7OK" and pools["apps"].servers[0].requests_max == 2
