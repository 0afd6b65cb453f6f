"""The broker on a real Redis: enqueued work is kept, and never dropped silently."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kombu
import pytest
import redis
from contract_suite import ProductContract
from workshop import make_project, make_stack, running, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.broker import redis as product
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.layers.contract import Exchange
from slipstream_ops.placement import Stack


class TestBrokerRedis(ProductContract):
    layer, server = "broker", "redis"
    recorded, vitals_type = "redis-broker.txt", BrokerVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_broker(folder)

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.queues == {"high": 2, "default": 0, "low": 0, "celery": 0}
        assert (vitals.waiting, vitals.unacknowledged) == (2, 1)
        assert vitals.is_kept_on_disk and vitals.last_write_succeeded and not vitals.is_loading


def make_broker(folder: Path) -> Stack:
    project = make_project(folder / "site", celery="mysite.celery:app", queues=("thumbnails",))
    return make_stack(folder, {"broker": {"server": "redis"}}, project, layers=frozenset({"cache", "broker"}))


@pytest.fixture
def stack() -> Iterator[Stack]:
    with temporary_folder() as folder:
        yield make_broker(folder)


def url_of(stack: Stack) -> str:
    return str(product.offer(stack, stack.hosts[0])["url"])


def ask_vitals(stack: Stack) -> BrokerVitals:
    (source,) = product.vitals_sources(stack, stack.hosts[0])
    assert isinstance(source.ask, Exchange)
    return product.parse(execution.exchange(source.ask).decode())


def test_enqueued_work_survives_the_end_of_the_process(stack: Stack) -> None:
    with running_layers(stack, "broker") as processes:
        with kombu.Connection(url_of(stack)) as connection, connection.SimpleQueue("thumbnails") as queue:
            for number in range(20):
                queue.put({"article": number})
        assert ask_vitals(stack).queues["thumbnails"] == 20
        processes["broker"].send_signal(signal.SIGKILL)
        processes["broker"].wait(10)
    with running_layers(stack, "broker"):
        assert ask_vitals(stack).queues == {"high": 0, "default": 0, "low": 0, "celery": 0, "thumbnails": 20}
        with kombu.Connection(url_of(stack)) as connection, connection.SimpleQueue("thumbnails") as queue:
            message = queue.get(timeout=10)
            assert message.payload == {"article": 0}
            vitals = ask_vitals(stack)
            assert (vitals.waiting, vitals.unacknowledged) == (19, 1)
            message.ack()


def test_a_full_broker_refuses_new_work_and_keeps_the_old(stack: Stack) -> None:
    with running_layers(stack, "broker"):
        client = redis.Redis.from_url(url_of(stack))
        client.lpush("high", "kept")
        administrator = product.server(stack, stack.hosts[0]).exchange(("CONFIG", "SET", "maxmemory", "1mb"))
        assert b"+OK\r\n+OK" in execution.exchange(administrator)
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            for _ in range(100):
                client.lpush("low", b"x" * 100_000)
        assert client.lrange("high", 0, -1) == [b"kept"]


def test_it_is_not_healthy_while_it_reads_its_file(stack: Stack) -> None:
    (service,) = product.services(stack, stack.hosts[0])
    with running_layers(stack, "broker"):
        client = redis.Redis.from_url(url_of(stack))
        with client.pipeline(transaction=False) as pipeline:
            for number in range(6000):
                pipeline.set(f"key-{number}", "value")
            pipeline.execute()
    # It looks up from its file every 1024 commands, so that it must take its time for them.
    slow = ("--key-load-delay", "300", "--loading-process-events-interval-bytes", "1024")
    user = execution.user_of(service.account)
    process = subprocess.Popen(
        (*service.command, *slow),
        env={**os.environ, "PATH": execution.search_path()},
        stdout=subprocess.DEVNULL,
        user=user.pw_uid if user else None,
        group=user.pw_gid if user else None,
    )
    try:
        faults: set[str] = set()

        def is_starting() -> bool:
            faults.add(str(execution.find_fault(service.probe)))
            return not any("LOADING" in fault for fault in faults)

        execution.wait_for(service.probe, 30, may_go_on=is_starting)
        assert any("LOADING" in fault for fault in faults), faults
        assert execution.wait_for(service.probe, 30) is None
    finally:
        process.kill()
        process.wait()


def test_the_end_of_the_service_loses_nothing_and_its_checker_touches_no_queue(stack: Stack) -> None:
    (service,) = product.services(stack, stack.hosts[0])
    with running_layers(stack, "broker"):
        redis.Redis.from_url(url_of(stack)).lpush("default", "one")
    assert execution.run(product.check(stack, stack.hosts[0])[0]).succeeded
    with running(service, stack.state.root / "again.log"):
        assert ask_vitals(stack).queues["default"] == 1
