"""Refresh ahead: readers read, workers compute."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from cache_servers import CacheServer, wait_until
from django.core.cache import caches
from django.dispatch import Signal
from django.test import override_settings

from slipstream import refresh as refreshing
from slipstream.refresh import UnknownRefresh, beat_schedule, refresh, refresh_due, refreshed, watch

_numbers = itertools.count()


@pytest.fixture(autouse=True)
def alone(server: CacheServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(refreshing, "_registered", {})
    monkeypatch.setattr(refreshing, "celery_task", lambda: None)
    entry = {"BACKEND": server.backend, "LOCATION": server.location, "KEY_PREFIX": f"refresh{next(_numbers)}"}
    entry["OPTIONS"] = {"timeout_seconds": 2.0}
    with override_settings(CACHES={"default": entry}):
        yield


def test_readers_never_compute(alone: None) -> None:
    computed: list[int] = []

    @refreshed(every="short", default="nothing yet")
    def front_page() -> str:
        computed.append(1)
        return f"front page {len(computed)}"

    assert front_page() == "nothing yet"
    assert computed == []
    assert len(refresh_due()) == 1
    assert front_page() == "front page 1"
    assert refresh_due() == []
    caches["default"].clear()
    assert front_page() == "nothing yet"
    refresh_due()
    assert front_page() == "front page 2"


def test_a_signal_asks_once(alone: None) -> None:
    changed, computed = Signal(), []

    @refreshed(on=[changed])
    def count() -> int:
        computed.append(1)
        return len(computed)

    refresh_due()
    for _ in range(100):
        changed.send(sender=None)
    assert computed == [1]  # the sender's request does not pay
    assert len(refresh_due()) == 1
    assert refresh_due() == []
    assert count() == 2


def test_a_change_during_a_refresh_is_not_lost(alone: None) -> None:
    changed = Signal()

    @refreshed(on=[changed])
    def value() -> int:
        changed.send(sender=None)
        return 1

    refresh_due()
    assert len(refresh_due()) == 1


def test_the_timer(alone: None) -> None:
    computed: list[int] = []

    @refreshed(every=0.2, name="ticking")
    def ticking() -> int:
        computed.append(1)
        return len(computed)

    over = threading.Event()
    worker = threading.Thread(target=watch, args=(0.02, over.is_set))
    worker.start()
    try:
        wait_until(lambda: len(computed) >= 3, "three refreshes")
    finally:
        over.set()
        worker.join()
    assert ticking() >= 3
    assert beat_schedule() == {
        "slipstream.refresh ticking": {"task": "slipstream.refresh", "schedule": 0.2, "args": ("ticking",)}
    }


def test_a_failing_refresh_keeps_the_old_value_and_the_others_going(alone: None, caplog: Any) -> None:
    is_failing: list[int] = []

    @refreshed(every=0.01, name="a")
    def a() -> str:
        if is_failing:
            raise ZeroDivisionError
        return "a"

    @refreshed(every=0.01, name="b")
    def b() -> str:
        return "b"

    refresh_due()
    is_failing.append(1)
    wait_until(lambda: refresh_due() == ["b"], "b is refreshed without a")
    assert (a(), b()) == ("a", "b")
    assert "refresh of a failed" in caplog.text


def test_two_workers_do_not_compute_the_same(alone: None) -> None:
    release, computed = threading.Event(), []

    @refreshed(name="slow")
    def slow() -> int:
        computed.append(1)
        release.wait(10)
        return 1

    first = threading.Thread(target=refresh_due)
    first.start()
    wait_until(lambda: bool(computed), "the first worker computes")
    assert refresh_due() == []
    release.set()
    first.join()
    assert computed == [1]
    assert slow() == 1


def test_unknown_and_doubled_names(alone: None) -> None:
    with pytest.raises(UnknownRefresh, match="No refreshed value is named 'nope'; there are none"):
        refresh("nope")
    refreshed(name="one")(lambda: 1)
    with pytest.raises(ValueError, match="Two refreshed values are named one"):
        refreshed(name="one")(lambda: 2)


def test_celery_does_it_where_there_is_celery(monkeypatch: pytest.MonkeyPatch) -> None:
    """A real Celery application with its in-memory broker and a worker thread."""
    monkeypatch.undo()
    monkeypatch.setattr(refreshing, "_registered", {})
    import celery
    from celery.contrib.testing.worker import start_worker

    app = celery.Celery("refresh-test", broker="memory://", backend="cache+memory://")
    app.set_default()
    app.conf.task_always_eager = False

    @refreshed(name="by-celery", default="nothing")
    def by_celery() -> str:
        return "computed"

    task = refreshing.celery_task()
    assert task.name == "slipstream.refresh"
    with start_worker(app, perform_ping_check=False, shutdown_timeout=20):
        assert by_celery() == "nothing"
        wait_until(lambda: by_celery() == "computed", "the worker has refreshed", 20)
