"""The broker on a real Redis: enqueued work is kept, and never dropped silently."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.placement import Stack
from workshop import make_project, make_stack


class TestBrokerRedis(ProductContract):
    layer, server = "broker", "redis"
    recorded, vitals_type = "redis-broker.txt", BrokerVitals

    def make_stack(self, folder: Path) -> Stack:
        project = make_project(folder / "site", celery="mysite.celery:app", queues=("thumbnails",))
        return make_stack(folder, {"broker": {"server": "redis"}}, project, layers=frozenset({"cache", "broker"}))

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.queues == {"high": 2, "default": 0, "low": 0, "celery": 0}
        assert (vitals.waiting, vitals.unacknowledged) == (2, 1)
        assert vitals.is_kept_on_disk and vitals.last_write_succeeded and not vitals.is_loading
