"""Four reading processes beside one that writes: no read that begins after a commit returned is older than it."""

from __future__ import annotations

import json
import mmap
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import F
from newsstand_servers import wait_until

from slipstream.freshness import keeper

WRITES = 300


@pytest.fixture
def floor(tmp_path: Path) -> Iterator[mmap.mmap]:
    """Shared memory: 8 bytes of the version that must be seen, one byte that ends the readers."""
    path = tmp_path / "floor"
    path.write_bytes(bytes(16))
    os.environ["FLOOR"] = str(path)
    with path.open("r+b") as file:
        yield mmap.mmap(file.fileno(), 16)


def save(site: Any) -> None:
    article = site.Article.objects.get(pk=1)
    article.version += 1
    article.save()


def update(site: Any) -> None:
    site.Article.objects.filter(pk=1).update(version=F("version") + 1)


def bulk(site: Any) -> None:
    article = site.Article.objects.get(pk=1)
    article.version += 1
    site.Article.objects.bulk_update([article], ["version"])


def raw(site: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE newsstand_article SET version = version + 1 WHERE id = 1")


def atomic(site: Any) -> None:
    with transaction.atomic():
        site.Comment.objects.create(article_id=1, text="x")
        save(site)


@pytest.mark.parametrize("write", [save, update, bulk, raw, atomic], ids=lambda write: write.__name__)
def test_no_reader_sees_less_than_what_was_committed(
    site: Any, floor: mmap.mmap, spawn: Callable[..., Any], background_daemon: Any, write: Callable[[Any], None]
) -> None:
    section = site.Section.objects.create(slug="s", name="s")
    site.Article.objects.create(section=section, title="t")
    readers = [spawn("newsstand_reader.py") for _ in range(4)]
    for reader in readers:
        assert reader.stdout.readline() == "ready\n"
    for version in range(1, WRITES + 1):
        write(site)
        floor[:8] = version.to_bytes(8, "little")
        time.sleep(0.002)  # lets fills happen between two writes; not waited for
    floor[8] = 1
    told = [json.loads(reader.communicate(timeout=30)[0]) for reader in readers]
    print(told)
    assert [one["stale"] for one in told] == [0] * 4
    assert all(one["reads"] > WRITES / 10 for one in told)
    assert sum(one["reads"] - one["fills"] for one in told) > 0  # there were hits to be stale


STEPS = ("before pend", "after pend", "after commit", "after stamp", "after acknowledge")


@pytest.mark.parametrize("step", STEPS)
def test_a_writer_killed_at_any_step_leaves_nothing_stale(
    site: Any, spawn: Callable[..., Any], background_daemon: Any, step: str
) -> None:
    section = site.Section.objects.create(slug="s", name="s")
    site.Article.objects.create(section=section, title="t")

    def read() -> int:
        return int(site.Article.objects.get(pk=1).version)

    def read_directly() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT version FROM newsstand_article WHERE id = 1")
            return int(cursor.fetchone()[0])

    assert read() == read() == 0
    writer = spawn("newsstand_victim.py", DIES=step)
    while writer.poll() is None:
        visible = read_directly()
        assert read() >= visible  # nothing older than what a reader of the database already saw
    assert writer.returncode == -signal.SIGKILL
    expected = 0 if step in STEPS[:2] else 1
    assert read() == read_directly() == expected
    wait_until(lambda: not keeper.open_store().pending_transactions(), "the reaper ends what is pending", 5)
    assert read() == expected
    update(site)
    assert read() == expected + 1


def test_a_paused_daemon_ends_all_hits(site: Any, background_daemon: Any) -> None:
    site.Author.objects.create(name="a")
    store = keeper.open_client()
    background_daemon.send_signal(signal.SIGSTOP)
    try:
        wait_until(lambda: not store.exists("newsstand:d"), "the lease ends", 3)
        with connection.cursor() as cursor:
            assert site.Author.objects.get(pk=1).name == "a"
            cursor.connection.execute("SELECT 1")
    finally:
        background_daemon.send_signal(signal.SIGCONT)
    wait_until(lambda: store.exists("newsstand:d"), "the lease is back", 5)
