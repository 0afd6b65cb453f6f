"""The decorator: keys from arguments, forgetting, coroutine functions, and arguments that say nothing."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from cache_servers import CacheServer
from django.test import override_settings

from slipstream.caches import cached
from slipstream.caches.identity import CannotIdentify

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def default_cache(server: CacheServer) -> Iterator[None]:
    entry = {"BACKEND": server.backend, "LOCATION": server.location, "KEY_PREFIX": f"decorated{next(_numbers)}"}
    entry["OPTIONS"] = {"timeout_seconds": 2.0}
    with override_settings(CACHES={"default": entry}):
        yield


def test_results_are_kept_by_argument(default_cache: None) -> None:
    calls: list[Any] = []

    @cached("short")
    def total(a: int, b: int = 2, *rest: int, **named: int) -> int:
        calls.append((a, b))
        return a + b

    assert [total(1), total(1, 2), total(a=1), total(a=1, b=2)] == [3, 3, 3, 3]
    assert calls == [(1, 2)]
    assert total(1, 3) == 4
    assert total(1, 3, 5) == total(1, 3, x=5) == 4
    assert len(calls) == 4
    assert total.forget(1) is True  # type: ignore[attr-defined]
    assert total.forget(1) is False  # type: ignore[attr-defined]
    total(1)
    assert len(calls) == 5


def test_none_is_a_result(default_cache: None) -> None:
    calls: list[int] = []

    @cached(60)
    def nothing() -> None:
        calls.append(1)

    nothing()
    nothing()
    assert calls == [1]


def test_coroutine_functions(default_cache: None) -> None:
    calls: list[int] = []

    @cached("short", name="its own name")
    async def slow(x: int) -> int:
        calls.append(x)
        await asyncio.sleep(0.01)
        return x

    async def many() -> list[int]:
        return await asyncio.gather(*[slow(1) for _ in range(20)])

    try:
        assert asyncio.run(many()) == [1] * 20
    finally:
        assert calls == [1]


def test_an_argument_that_says_nothing(default_cache: None, caplog: Any) -> None:
    @cached("short")
    def describe(thing: object) -> str:
        return "described"

    with override_settings(DEBUG=True), pytest.raises(CannotIdentify, match=r"@cached .*describe\(\): a builtins.object"):
        describe(object())
    assert describe(object()) == "described"
    assert describe(object()) == "described"
    assert sum("describe" in record.getMessage() for record in caplog.records) <= 1
