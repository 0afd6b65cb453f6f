"""Varnish passes the contract of every product."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from origin import front_stack
from slipstream_ops.layers.accelerator.vitals import AcceleratorVitals
from slipstream_ops.placement import Stack
from workshop import free_port


class TestVarnish(ProductContract):
    layer = "accelerator"
    server = "varnish"
    recorded = "varnish.json"
    vitals_type = AcceleratorVitals

    def make_stack(self, folder: Path) -> Stack:
        return front_stack(folder, ports=(free_port(), free_port()))

    def assert_recorded(self, vitals: Any) -> None:
        assert (vitals.hits, vitals.misses, vitals.passes) == (1, 4, 1)
        assert vitals.hit_ratio == 1 / 6
        assert vitals.objects == 3 and vitals.objects_evicted == 0
        assert vitals.memory_free_bytes > 100 << 20
        assert vitals.threads == 100 and vitals.sessions_dropped == 0
        backends = {backend.name: backend for backend in vitals.backends}
        assert backends["apps"].is_healthy and backends["apps"].requests == 5
        assert backends["apps_unprobed"].is_healthy is None
