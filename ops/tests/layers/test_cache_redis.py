"""The cache on a real Redis: what it forgets, what the application may not do, and that its checker is one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis
from contract_suite import ProductContract
from workshop import make_stack, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.cache import redis as product
from slipstream_ops.layers.cache.vitals import CacheVitals
from slipstream_ops.layers.contract import Exchange, Wait
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

LAYERS = frozenset({"cache", "broker"})
ELSEWHERE = Host("app-1", "127.0.0.1", cores=2, memory_bytes=1 << 30, layers=frozenset({"appserver", "application"}))


class TestCacheRedis(ProductContract):
    layer, server = "cache", "redis"
    recorded, vitals_type = "redis-cache.txt", CacheVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder, {"cache": {"server": "redis"}}, layers=LAYERS)

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.memory_max_bytes == 1450 << 20
        assert (vitals.hits, vitals.misses, vitals.hit_ratio) == (1, 1, 0.5)
        assert (vitals.keys, vitals.clients_max, vitals.evictions) == (3, 1000, 0)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with temporary_folder() as folder:
        yield make_stack(folder, {"cache": {"memory": "20 MB"}}, layers=LAYERS)


@pytest.fixture
def running_stack(stack: Stack) -> Iterator[Stack]:
    with running_layers(stack, "cache"):
        yield stack


def connect(stack: Stack, host: Host | None = None) -> redis.Redis:
    return redis.Redis.from_url(product.offer(stack, host or stack.hosts[0])["urls"][0])


def ask_vitals(stack: Stack) -> CacheVitals:
    (source,) = product.vitals_sources(stack, stack.hosts[0])
    assert isinstance(source.ask, Exchange)
    return product.parse(execution.exchange(source.ask).decode())


def test_processes_of_this_host_and_of_others_reach_it(running_stack: Stack) -> None:
    assert product.offer(running_stack, running_stack.hosts[0])["urls"][0].startswith("unix://")
    assert product.offer(running_stack, ELSEWHERE)["urls"][0].startswith("redis://")
    connect(running_stack).set("key", "value")
    assert connect(running_stack, ELSEWHERE).get("key") == b"value"


def test_nobody_gets_in_without_the_password(running_stack: Stack) -> None:
    endpoint = running_stack.endpoint("cache")
    for password, told in ((None, "authenticated|Authentication required"), ("wrong", "WRONGPASS|invalid username-password")):
        client = redis.Redis(endpoint.address, endpoint.port, password=password)
        with pytest.raises(redis.AuthenticationError, match=told):
            client.get("key")


FORBIDDEN = ["FLUSHALL", "FLUSHDB", "KEYS *", "CONFIG GET *", "SHUTDOWN", "CLIENT KILL TYPE normal", "MONITOR", "ACL LIST"]


@pytest.mark.parametrize("command", FORBIDDEN)
def test_the_application_cannot_empty_or_reconfigure_it(running_stack: Stack, command: str) -> None:
    client = connect(running_stack)
    client.set("key", "value")
    with pytest.raises(redis.exceptions.NoPermissionError):
        client.execute_command(*command.split())
    assert client.get("key") == b"value"


def test_what_is_popular_stays_and_what_was_read_once_leaves(running_stack: Stack) -> None:
    client = connect(running_stack)
    value = b"x" * 10_000
    for number in range(50):
        client.set(f"popular-{number}", value)
    for _ in range(30):
        client.mget([f"popular-{number}" for number in range(50)])
    for number in range(4000):  # 40 MB go through a cache of 17 MB
        client.set(f"once-{number}", value)

    vitals = ask_vitals(running_stack)
    assert vitals.evictions and vitals.evictions > 1000
    assert vitals.memory_used_bytes and vitals.memory_max_bytes == 17 << 20
    assert vitals.memory_used_bytes <= vitals.memory_max_bytes * 1.1
    kept = sum(value is not None for value in client.mget([f"popular-{number}" for number in range(50)]))
    assert kept >= 45


def test_nothing_is_written_to_disk(running_stack: Stack) -> None:
    client = connect(running_stack)
    client.mset({f"key-{number}": "value" for number in range(1000)})
    assert list((running_stack.state.data / "cache").iterdir()) == []


def test_a_reload_changes_sizes_and_keeps_what_is_cached(running_stack: Stack) -> None:
    connect(running_stack).set("key", "value")
    changed = replace(running_stack, config=StackFile.model_validate({"cache": {"memory": "100 MB"}}))
    for action in product.reload(changed, changed.hosts[0]):
        assert isinstance(action, Wait)
        assert execution.wait_for(action.probe, action.timeout_seconds) is None
    assert ask_vitals(changed).memory_max_bytes == 85 << 20
    assert connect(changed).get("key") == b"value"


FAULTS = [("redis.conf", "maxmemory plenty\n"), ("redis.conf", "no-such-directive yes\n"), ("users.acl", "user x +nonsense\n")]


@pytest.mark.parametrize("name, line", FAULTS)
def test_its_checker_refuses_what_redis_refuses(stack: Stack, name: str, line: str) -> None:
    for file in product.render(stack, stack.hosts[0]):
        execution.write_file(replace(file, content=file.content + line) if file.path.name == name else file)
    (command,) = product.check(stack, stack.hosts[0])
    result = execution.run(command)
    assert not result.succeeded
    assert line.split()[-1] in result.transcript


def test_the_checker_leaves_a_running_server_alone(running_stack: Stack) -> None:
    connect(running_stack).set("key", "value")
    (command,) = product.check(running_stack, running_stack.hosts[0])
    assert execution.run(command).succeeded
    assert connect(running_stack).get("key") == b"value"


def test_passwords_are_in_no_file_and_no_value_that_is_printed(stack: Stack) -> None:
    host = stack.hosts[0]
    for file in product.render(stack, host):
        assert stack.secrets.cache_password not in file.content
    assert stack.secrets.cache_password not in repr((product.services(stack, host), product.vitals_sources(stack, host)))
    administrator = product.server(stack, host).administrator_password
    assert administrator not in repr((product.services(stack, host), product.reload(stack, host)))


def test_paths_with_spaces_and_quotes(stack: Stack) -> None:
    with temporary_folder() as folder:
        (folder / """it's "here" """.strip()).mkdir(mode=0o755)
        odd = make_stack(folder / """it's "here" """.strip(), layers=LAYERS)
        for file in product.render(odd, odd.hosts[0]):
            execution.write_file(file)
        assert execution.run(product.check(odd, odd.hosts[0])[0]).succeeded
        with running_layers(odd, "cache"):
            assert connect(odd).ping()


def test_sizes_follow_the_host() -> None:
    with temporary_folder() as folder:
        alone = make_stack(folder, layers=frozenset({"cache"}), cores=8, memory_bytes=8 << 30)
        sizes = {sized.name: sized.value for sized in product.sizes(alone, alone.hosts[0])}
        assert (sizes["maxmemory"], sizes["io-threads"]) == ("6963mb", 4)
        shared = make_stack(folder, layers=LAYERS, cores=8, memory_bytes=100 << 20)
        sizes = {sized.name: sized.value for sized in product.sizes(shared, shared.hosts[0])}
        assert (sizes["maxmemory"], sizes["io-threads"]) == ("70mb", 1)
