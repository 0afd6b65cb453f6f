"""A broker that others run: asked when it is a Redis, taken as it is when it is something else that Celery knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from workshop import make_project, make_stack, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.broker import external
from slipstream_ops.layers.broker import redis as own
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.layers.contract import Exchange
from slipstream_ops.placement import Stack


def with_url(folder: Path, url: str) -> Stack:
    project = make_project(folder / "site", celery="mysite.celery:app")
    config = {"broker": {"server": "external", "url": url}} if url else {}
    return make_stack(folder, config, project, layers=frozenset({"cache", "broker"}))


class TestBrokerExternal(ProductContract):
    layer, server = "broker", "external"
    recorded, vitals_type = "redis-broker.txt", BrokerVitals

    def make_stack(self, folder: Path) -> Stack:
        return with_url(folder, "redis://:p@127.0.0.1:1/0")

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.waiting == 2

    def test_starts_answers_tells_its_vitals_reloads_and_stops(self, stack: Stack) -> None:
        """Nothing of it is started: the test below asks one that runs."""
        assert external.services(stack, stack.hosts[0]) == ()


def test_a_redis_is_asked_for_its_health_and_its_queues() -> None:
    with temporary_folder() as one, temporary_folder() as other:
        running = with_url(one, "")
        with running_layers(running, "broker"):
            url = own.offer(running, running.hosts[0])["url"]
            stack = with_url(other, url)
            (wait,) = external.preflight(stack, stack.hosts[0])
            assert execution.find_fault(wait.probe) is None
            (source,) = external.vitals_sources(stack, stack.hosts[0])
            assert isinstance(source.ask, Exchange)
            vitals = external.parse(execution.exchange(source.ask).decode())
            assert vitals.queues == {"high": 0, "default": 0, "low": 0, "celery": 0}
        assert execution.find_fault(wait.probe) is not None


def test_another_kind_of_broker_is_left_to_celery() -> None:
    with temporary_folder() as folder:
        stack = with_url(folder, "amqp://user:secret@10.0.0.1//")
        host = stack.hosts[0]
        assert external.preflight(stack, host) == external.vitals_sources(stack, host) == ()
        assert external.offer(stack, host) == {"url": "amqp://user:secret@10.0.0.1//"}
