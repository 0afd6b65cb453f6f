"""Every kind of write is noted by the triggers, pended before COMMIT, stamped before it returns; nothing else is."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import F

from slipstream.freshness import commits, keeper
from slipstream.freshness.protocol.stamps import Proof
from slipstream.freshness.protocol.store import Store as ProtocolStore


@pytest.fixture
def calls(site: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was asked of the store and of the database's COMMIT, in order."""
    made: list[Any] = []
    for name in ("pend", "stamp"):
        monkeypatch.setattr(ProtocolStore, name, _noting(made, name))
    return made


def _noting(made: list[Any], name: str) -> Any:
    original = getattr(ProtocolStore, name)

    def call(self: Any, tags: Any, xid: str) -> Any:
        made.append((name, frozenset(tag.removeprefix("public.newsstand_") for tag in tags)))
        return original(self, tags, xid)

    return call


@contextlib.contextmanager
def written(calls: list[Any]) -> Iterator[set[str]]:
    """The tags that commits inside pended and stamped."""
    calls.clear()
    tags: set[str] = set()
    yield tags
    assert [name for name, _ in calls] == ["pend", "stamp"] * (len(calls) // 2)
    assert [found for name, found in calls if name == "pend"] == [found for name, found in calls if name == "stamp"]
    tags.update(*(found for _, found in calls))
    assert keeper.open_store().pending_transactions() == {}


def test_each_way_of_writing_names_what_it_changed(site: Any, calls: list[Any]) -> None:
    one, two = (site.Section.objects.create(slug=slug, name=slug) for slug in ("one", "two"))
    with written(calls) as tags:
        article = site.Article.objects.create(section=one, title="x")
    common = {"article", "article:1", "article{author_id=~}", "article{day=~}", "article{is_public=t}"}
    assert tags == common | {"article{section_id=1}"}
    article.section = two
    with written(calls) as tags:
        article.save()
    assert tags == common | {"article{section_id=1}", "article{section_id=2}"}  # moved: both lists
    with written(calls) as tags:
        site.Article.objects.filter(pk=1).update(version=F("version") + 1)
    assert tags == common | {"article{section_id=2}"}
    with written(calls) as tags:
        site.Article.objects.filter(pk=77).update(version=1)
    assert tags == set()  # matched nothing
    with written(calls) as tags:
        article.tags.add(site.Tag.objects.create(name="t"))
    assert tags >= {"tag:1", "article_tags{article_id=1}", "article_tags{tag_id=1}"}
    with written(calls) as tags:
        site.Section.objects.bulk_create(
            [site.Section(slug="one", name="new")], update_conflicts=True, unique_fields=["slug"], update_fields=["name"]
        )
    assert {"section:1", "section{slug='one}"} <= tags
    article.version = 9
    with written(calls) as tags:
        site.Article.objects.bulk_update([article], ["version"])
    assert "article:1" in tags
    site.Comment.objects.create(article=article)
    with written(calls) as tags:
        two.delete()
    assert {"section:2", "article:1", "comment:1", "article_tags:1"} <= tags


def test_raw_sql_copy_and_truncate_are_noted(site: Any, calls: list[Any]) -> None:
    with written(calls) as tags, connection.cursor() as cursor:
        cursor.execute("INSERT INTO newsstand_author (name) VALUES ('raw')")
    assert tags == {"author", "author:1"}
    with written(calls) as tags, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO newsstand_author (name) VALUES (%s)", [["a"], ["b"]])
    assert tags == {"author", "author:2", "author:3"}
    with written(calls) as tags, connection.cursor() as cursor, cursor.copy("COPY newsstand_author (name) FROM STDIN") as copy:
        copy.write("copied\n")
    assert tags == {"author", "author:4"}
    with written(calls) as tags, connection.cursor() as cursor:
        cursor.execute("TRUNCATE newsstand_author CASCADE")
    assert {"author*", "article*", "comment*"} <= tags
    with written(calls) as tags, connection.cursor() as cursor:
        cursor.execute("SELECT setval('newsstand_author_id_seq', 5)")
    assert tags == set()
    with connection.cursor() as cursor:
        cursor.execute("COMMIT")  # outside any transaction: only a warning
    assert connection.connection.info.transaction_status == commits.IDLE


def test_many_rows_fold(site: Any, calls: list[Any]) -> None:
    with written(calls) as tags:
        site.Author.objects.bulk_create([site.Author(name=str(number)) for number in range(20_000)])
    assert tags == {"author*"}
    with written(calls) as tags:
        site.Author.objects.filter(pk__lte=150).update(name="x")
    assert len(tags) == 151
    with written(calls) as tags:
        site.Author.objects.all().delete()
    assert tags >= {"author*"} and not any(":" in tag for tag in tags if tag.startswith("author"))
    with written(calls) as tags, transaction.atomic():
        for number in range(300):
            site.Author.objects.create(name=str(number))
    assert tags == {"author*"}


def test_tables_without_a_key_and_unmanaged(site: Any, calls: list[Any]) -> None:
    with written(calls) as tags:
        site.Measurement.objects.create(sensor=1, value=2)
    assert tags == {"public.measurement"}
    with written(calls) as tags:
        site.Measurement.objects.filter(value=2).update(value=3)
    assert tags == {"public.measurement"}


def test_transactions_savepoints_and_hooks(site: Any, calls: list[Any]) -> None:
    order: list[str] = []
    with written(calls) as tags, transaction.atomic():
        site.Author.objects.create(name="kept")
        with contextlib.suppress(RuntimeError), transaction.atomic():
            site.Tag.objects.create(name="gone")
            raise RuntimeError
        transaction.on_commit(lambda: order.append(calls[-1][0]))
    assert tags == {"author", "author:1"} and order == ["stamp"]
    with written(calls) as tags, contextlib.suppress(RuntimeError), transaction.atomic():
        site.Author.objects.create(name="gone")
        raise RuntimeError
    assert tags == set()
    with written(calls) as tags, transaction.atomic():
        list(site.Author.objects.all())
    assert tags == set()


def test_autocommit_off_and_raw_commit(site: Any, calls: list[Any]) -> None:
    transaction.set_autocommit(False)
    try:
        with written(calls) as tags:
            site.Author.objects.create(name="manual")
            transaction.commit()
        assert tags == {"author", "author:1"}
        site.Author.objects.create(name="rolled back")
        transaction.rollback()
    finally:
        transaction.set_autocommit(True)
    with written(calls) as tags, connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("INSERT INTO newsstand_author (name) VALUES ('x')")
        assert calls == []
        cursor.execute("COMMIT")
    assert tags == {"author", "author:3"}


def test_deferred_constraints_fail_before_the_pending(site: Any, calls: list[Any]) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        site.Comment.objects.create(article_id=99)
    assert calls == []
    assert site.Comment.objects.count() == 0


def test_a_commit_that_the_server_refuses_is_stamped(site: Any, calls: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    original = commits.pend

    def pend_and_spoil(written: Any) -> None:
        """A serialization failure at COMMIT is hard to time; a write that violates a deferred constraint is not."""
        original(written)
        with connection.connection.cursor() as cursor:
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            cursor.execute("INSERT INTO newsstand_comment (article_id, text, score) VALUES (99, '', 0)")

    monkeypatch.setattr(commits, "pend", pend_and_spoil)
    with pytest.raises(IntegrityError), transaction.atomic():
        site.Author.objects.create(name="x")
    assert [name for name, _ in calls] == ["pend", "stamp"]
    assert keeper.open_store().pending_transactions() == {}
    assert site.Author.objects.count() == 0


def test_a_lost_store_refuses_writes(site: Any, project: Any) -> None:
    project.store.kill()
    try:
        with pytest.raises(commits.StoreUnreachable, match="Nothing was written"):
            site.Author.objects.create(name="refused")
        with pytest.raises(commits.StoreUnreachable), transaction.atomic():
            site.Author.objects.create(name="refused")
        with transaction.atomic():
            assert list(site.Author.objects.all()) == []  # reads go on, straight to the database
    finally:
        project.store.start()
    site.Author.objects.create(name="accepted")


def test_a_store_lost_after_commit_leaves_the_pending(
    site: Any, monkeypatch: pytest.MonkeyPatch, make_round: Callable[[], None]
) -> None:
    def fail(self: Any, tags: Any, xid: str) -> Proof:
        raise keeper.RedisError("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(ProtocolStore, "stamp", fail)
        site.Author.objects.create(name="written")
    assert site.Author.objects.count() == 1
    pending = keeper.open_store().pending_transactions()
    assert list(pending.values()) == [{"public.newsstand_author", "public.newsstand_author:1"}]
    make_round()
    assert keeper.open_store().pending_transactions() == {}
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM slipstream.outbox")
        assert cursor.fetchone() == (0,)
