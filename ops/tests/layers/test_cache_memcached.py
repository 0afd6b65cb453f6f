"""The cache on a real Memcached: what Django keeps in it, what it may not do, and that its checker is one."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_suite import ProductContract
from projectcode import run_django_code
from startproject import make_django_stack
from workshop import make_stack, running_layers, temporary_folder

from slipstream.overlay.caches import place_caches
from slipstream.overlay.offer import parse_offer
from slipstream_ops import execution
from slipstream_ops.layers.cache import memcached
from slipstream_ops.layers.cache.vitals import CacheVitals
from slipstream_ops.layers.contract import File, Sized
from slipstream_ops.placement import Endpoint, Stack

CONFIG = {"cache": {"server": "memcached"}}


class TestCacheMemcached(ProductContract):
    layer, server = "cache", "memcached"
    recorded, vitals_type = "memcached.txt", CacheVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder, CONFIG, layers=frozenset({"cache", "broker"}))

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.memory_max_bytes == 1450 << 20
        assert (vitals.hits, vitals.misses, vitals.hit_ratio) == (3, 1, 0.75)
        assert (vitals.keys, vitals.clients_max, vitals.evictions) == (2, 1000, 0)
        assert vitals.operations == 3 + 1 + 3 + 1  # gets that hit and missed, sets, a delete
        assert 0 < vitals.memory_used_bytes < vitals.memory_resident_bytes <= vitals.memory_max_bytes
        assert vitals.operations_per_second is None


def of_name(sizes: tuple[Sized, ...], name: str) -> Any:
    return next(sized.value for sized in sizes if sized.name == name)


def say(stack: Stack, *commands: str) -> bytes:
    return execution.exchange(memcached.exchange(stack, *commands))


def test_memory_and_threads_follow_the_host() -> None:
    with temporary_folder() as folder:
        shared = make_stack(folder, CONFIG, memory_bytes=8 << 30, cores=8)
        alone = make_stack(folder, CONFIG, memory_bytes=8 << 30, cores=8, layers=frozenset({"cache"}))
        written = make_stack(folder, {"cache": {"server": "memcached", "memory": "100 MB"}})
        small = make_stack(folder, CONFIG, memory_bytes=64 << 20)
        assert of_name(memcached.sizes(shared, shared.hosts[0]), "memory") == 696  # 85% of 10% of 8 GB
        assert of_name(memcached.sizes(alone, alone.hosts[0]), "memory") == 6963
        assert of_name(memcached.sizes(alone, alone.hosts[0]), "threads") == 4
        assert of_name(memcached.sizes(written, written.hosts[0]), "memory") == 85
        assert of_name(memcached.sizes(small, small.hosts[0]), "memory") == memcached.SMALLEST_MEGABYTES
        assert of_name(memcached.sizes(small, small.hosts[0]), "threads") == 1


def test_the_rendered_numbers_are_in_force() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG, layers=frozenset({"cache", "broker"}))
        with running_layers(stack, "cache"):
            settings = say(stack, "stats settings")
            endpoint = stack.endpoint("cache")
            for line in (
                b"STAT maxbytes 1520435200",  # 1450 MB: 85% of 10/12 of 2 GB
                b"STAT maxconns 1000",
                b"STAT num_threads 1",
                b"STAT item_size_max 4194304",
                b"STAT udpport 0",
                b"STAT flush_enabled no",
                b"STAT lru_segmented yes",
                b"STAT slab_automove 1",
                b"STAT maxconns_fast yes",
                f"STAT inter {endpoint.address}:{endpoint.port}".encode(),
            ):
                assert line + b"\r\n" in settings, settings.decode()


def test_listens_on_no_other_address() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG)
        port = stack.endpoint("cache").port
        with running_layers(stack, "cache"), pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 2).close()


def test_one_word_does_not_empty_the_cache() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG)
        with running_layers(stack, "cache"):
            assert say(stack, "set kept 0 0 5\r\nvalue") == b"STORED\r\n"
            assert b"CLIENT_ERROR" in say(stack, "flush_all")
            assert say(stack, "get kept") == b"VALUE kept 0 5\r\nvalue\r\nEND\r\n"


def test_a_reload_changes_the_memory_and_keeps_the_values() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG)
        with running_layers(stack, "cache"):
            say(stack, "set kept 0 0 5\r\nvalue")
            section = stack.config.cache.model_copy(update={"memory": 200 << 20})
            larger = replace(stack, config=stack.config.model_copy(update={"cache": section}))
            for action in memcached.reload(larger, larger.hosts[0]):
                TestCacheMemcached.carry_out(action, {})
            vitals = memcached.parse(say(stack, *memcached.COMMANDS).decode())
            assert vitals.memory_max_bytes == 170 << 20
            assert say(stack, "get kept") == b"VALUE kept 0 5\r\nvalue\r\nEND\r\n"


@pytest.mark.parametrize(("right", "wrong"), [("-m ", "-m lots#"), ("-o modern", "-o moderne"), ("-U 0", "--upd 0")])
def test_the_checker_refuses_a_wrong_option(right: str, wrong: str) -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG)
        host = stack.hosts[0]
        (file,) = memcached.render(stack, host)
        assert right in file.content
        execution.write_file(File(file.path, file.content.replace(right, wrong), is_executable=True))
        (command,) = memcached.check(stack, host)
        result = execution.run(command)
        assert not result.succeeded
        assert result.errors.strip()


def test_the_checker_does_not_disturb_a_running_cache() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG)
        with running_layers(stack, "cache"):
            say(stack, "set kept 0 0 5\r\nvalue")
            (command,) = memcached.check(stack, stack.hosts[0])
            assert execution.run(command).succeeded
            assert say(stack, "get kept") == b"VALUE kept 0 5\r\nvalue\r\nEND\r\n"


def test_an_ipv6_address_is_written_in_brackets() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG)
        stack = replace(stack, endpoints={**stack.endpoints, "cache": Endpoint("::1", 8620)})
        assert "-l [::1]:8620 " in memcached.render(stack, stack.hosts[0])[0].content
        assert memcached.offer(stack, stack.hosts[0]) == {"urls": ["memcached://[::1]:8620"]}


def test_django_keeps_values_in_it_with_its_own_backend() -> None:
    with temporary_folder() as folder:
        stack = make_django_stack(folder, CONFIG, layers=("cache",))
        (url,) = memcached.offer(stack, stack.hosts[0])["urls"]
        entry = {
            "BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache",
            "LOCATION": [url.removeprefix("memcached://")],
        }
        with (stack.project.root / "mysite" / "settings.py").open("a") as settings:
            settings.write(f'\nCACHES = {{"default": {entry!r}}}\n')
        with running_layers(stack, "cache"):
            printed = run_django_code(
                stack,
                "from django.core.cache import caches\ncache = caches['default']\n"
                "cache.set('greeting', {'en': 'hello', 'page': b'x' * 1_500_000}, 60)\n"
                "greeting = cache.get('greeting')\n"
                "print(type(cache).__name__, greeting['en'], len(greeting['page']), cache.get('other'))",
            )
            assert printed.split() == ["PyMemcacheCache", "hello", "1500000", "None"]


def test_an_unedited_project_gets_it_as_its_caches() -> None:
    with temporary_folder() as folder:
        stack = make_django_stack(folder, CONFIG, layers=("cache",))
        with running_layers(stack, "cache"):
            printed = run_django_code(
                stack,
                "from django.core.cache import caches\n"
                "for name in ('default', 'pages', 'sessions'):\n"
                "    caches[name].set('greeting', name, 60)\n"
                "print(type(caches['default']).__name__)\n"
                "print(*(caches[name].get('greeting') for name in ('default', 'pages', 'sessions')))\n"
                "caches['pages'].clear()\n"
                "print(caches['pages'].get('greeting'), caches['sessions'].get('greeting'))",
            )
            assert printed.split() == ["MemcachedCache", "default", "pages", "sessions", "None", "sessions"]
            assert say(stack, "stats").count(b"STAT curr_items 0") == 0


def test_the_form_of_the_offer_has_room_for_several_servers() -> None:
    (change,) = place_caches({}, parse_offer({"cache": {"urls": ["memcached://10.0.0.1:8620", "memcached://10.0.0.2:8620"]}}))
    assert change.after["default"] == {
        "BACKEND": "slipstream.caches.MemcachedCache",
        "LOCATION": ["10.0.0.1:8620", "10.0.0.2:8620"],
    }
