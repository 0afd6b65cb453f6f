"""The query cache: what is a hit, what is not, and what every kind of write does to it, in one process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import Count, F
from django.test.utils import CaptureQueriesContext
from newsstand_servers import wait_until

from slipstream import queries
from slipstream.freshness import keeper
from slipstream.freshness.commits import read_own_outbox
from slipstream.freshness.outbox.installation import install
from slipstream.freshness.protocol.store import Store as ProtocolStore
from slipstream.freshness.recorder import record

pytestmark = pytest.mark.usefixtures("daemon")


@pytest.fixture
def article(site: Any) -> Any:
    section = site.Section.objects.create(slug="news", name="News")
    return site.Article.objects.create(section=section, title="zero")


def statements_of(read: Callable[[], Any]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        read()
    return [query["sql"] for query in captured if "newsstand" in query["sql"]]


def is_hit(read: Callable[[], Any]) -> bool:
    """True if the second of two equal reads asks the database nothing."""
    read()
    return statements_of(read) == []


def test_repeated_queries_are_hits(site: Any, article: Any) -> None:
    articles = site.Article.objects
    reads: list[Callable[[], Any]] = [
        lambda: articles.get(pk=1),
        lambda: list(articles.filter(section=1)),
        lambda: list(articles.values_list("title", "section__name")),
        lambda: articles.count(),
        lambda: articles.filter(title="zero").exists(),
        lambda: articles.aggregate(n=Count("tags")),
        lambda: list(articles.select_related("section")),
        lambda: list(articles.prefetch_related("tags")),
        lambda: list(articles.filter(pk=55)),
        lambda: articles.first(),
        lambda: list(articles.using("archive").filter(pk=1)),
    ]
    for read in reads:
        first = read()
        assert is_hit(read)
        assert read() == first
    assert next(iter(articles.select_related("section"))).section.name == "News"


def test_what_goes_straight_to_the_database(site: Any, article: Any) -> None:
    articles = site.Article.objects
    assert not is_hit(lambda: list(queries.uncached(articles.all()).filter(pk=1)))
    assert not is_hit(lambda: queries.uncached(articles.all()).count())
    with queries.off():
        assert not is_hit(lambda: list(articles.all()))
    assert not is_hit(lambda: list(articles.iterator()))
    assert not is_hit(lambda: list(articles.order_by("?")))
    assert not is_hit(lambda: list(site.Private.objects.all()))
    with transaction.atomic():
        assert is_hit(lambda: articles.get(pk=1))
        articles.filter(pk=1).update(title="one")
        assert not is_hit(lambda: articles.get(pk=1))
        assert articles.get(pk=1).title == "one"
    with transaction.atomic():
        list(articles.select_for_update())
        assert not is_hit(lambda: articles.get(pk=1))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        assert not is_hit(lambda: articles.get(pk=1))


def test_hits_tell_the_recorder_what_they_hold(site: Any, article: Any) -> None:
    with record() as first:
        site.Article.objects.get(pk=1)
    with record() as second:
        assert statements_of(lambda: site.Article.objects.get(pk=1)) == []
    assert first.tags == second.tags != set() and second.may_be_kept


def test_every_write_is_seen_by_the_next_read(site: Any, article: Any, project: Any) -> None:
    def title() -> str:
        return str(site.Article.objects.get(pk=1).title)

    def raw(title: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE newsstand_article SET title = %s", [title])

    def save(title: str) -> None:
        found = site.Article.objects.get(pk=1)
        found.title = title
        found.save()

    def atomic(title: str) -> None:
        with transaction.atomic():
            save(title)

    def bulk(title: str) -> None:
        found = site.Article.objects.get(pk=1)
        found.title = title
        site.Article.objects.bulk_update([found], ["title"])

    for number, write in enumerate((raw, save, atomic, bulk, lambda text: site.Article.objects.update(title=text))):
        assert is_hit(title)
        write(f"title {number}")
        assert title() == f"title {number}"
    comments = site.Comment.objects.filter(article=1)
    assert is_hit(lambda: list(comments.all()))
    site.Comment.objects.create(article_id=1, text="first")  # into an empty list
    assert [one.text for one in comments.all()] == ["first"]
    assert is_hit(lambda: list(comments.all()))
    site.Comment.objects.create(article=site.Article.objects.create(section_id=1, title="other"), text="elsewhere")
    assert statements_of(lambda: list(comments.all())) == []  # a comment on another article leaves this page's list


def test_a_moved_article_renews_both_lists(site: Any, article: Any) -> None:
    site.Section.objects.create(slug="sport", name="Sport")

    def lists() -> list[int]:
        return [len(site.Article.objects.filter(section=number)) for number in (1, 2)]

    assert lists() == [1, 0]
    assert is_hit(lists)
    site.Article.objects.filter(pk=1).update(section=F("section") + 1)
    assert lists() == [0, 1]


def test_other_programs_are_seen_within_a_second(site: Any, article: Any, project: Any) -> None:
    assert is_hit(lambda: site.Article.objects.get(pk=1))
    with project.postgres.connect() as outside:
        outside.execute("SET session_replication_role = replica")  # triggers are ENABLE ALWAYS
        outside.execute("UPDATE newsstand_article SET title = 'from outside'")
    wait_until(lambda: site.Article.objects.get(pk=1).title == "from outside", "the write is seen", 1.0)


def test_foreign_keys_that_cascade_in_the_database(site: Any, article: Any, project: Any) -> None:
    site.Comment.objects.create(article=article, text="x")
    with project.postgres.connect() as outside:
        outside.execute(
            "CREATE TABLE parent (id int PRIMARY KEY); "
            "CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent ON DELETE CASCADE); "
            "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1, 1)"
        )
    try:
        assert "public.child" in install(connection).changed

        def children() -> int:
            with record() as recorder, connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM child")
                found = int(cursor.fetchone()[0])
            assert recorder.tags == {"public.child*", "public.child"}
            return found

        assert children() == 1
        with connection.cursor() as cursor, transaction.atomic():
            cursor.execute("DELETE FROM parent")
            written = read_own_outbox(connection)
            assert written is not None and {"public.child:1", "public.child{parent=1}", "public.parent:1"} <= written.tags
    finally:
        with project.postgres.connect() as outside:
            outside.execute("DROP TABLE child, parent")


@contextlib.contextmanager
def paused_fill(monkeypatch: pytest.MonkeyPatch, read: Callable[[], Any], name: str = "fill") -> Iterator[None]:
    """Inside, another thread has fetched its rows and not yet stored them; after, it has tried to."""
    arrived, resume = threading.Event(), threading.Event()
    original = getattr(ProtocolStore, name)
    reader_id: list[int] = []

    def wait(self: Any, *args: Any) -> Any:
        if threading.get_ident() in reader_id:
            arrived.set()
            assert resume.wait(10)
        return original(self, *args)

    def run() -> None:
        reader_id.append(threading.get_ident())
        try:
            read()
        finally:
            connections.close_all()

    with monkeypatch.context() as patch:
        patch.setattr(ProtocolStore, name, wait)
        thread = threading.Thread(target=run)
        thread.start()
        assert arrived.wait(10)
        yield
        resume.set()
        thread.join(10)


@pytest.mark.parametrize("writes", ["autocommit", "atomic", "outside"])
@pytest.mark.parametrize("reads", ["autocommit", "atomic"])
@pytest.mark.parametrize("is_cold", [True, False])
def test_a_paused_fill_stores_nothing_old(
    site: Any, article: Any, project: Any, monkeypatch: pytest.MonkeyPatch, writes: str, reads: str, is_cold: bool
) -> None:
    def read() -> str:
        with transaction.atomic() if reads == "atomic" else contextlib.nullcontext():
            return str(site.Article.objects.get(pk=1).title)

    if not is_cold:
        read()
        site.Article.objects.update(version=5)
    with paused_fill(monkeypatch, read):
        if writes == "outside":
            with project.postgres.connect() as outside:
                outside.execute("UPDATE newsstand_article SET title = 'new'")
            wait_until(lambda: _count(project, "slipstream.outbox") == 0, "the daemon has stamped")
        else:
            with transaction.atomic() if writes == "atomic" else contextlib.nullcontext():
                site.Article.objects.filter(pk=1).update(title="new")
        assert read() == "new"
    assert read() == "new"
    assert is_hit(read)


def _count(project: Any, table: str) -> int:
    with project.postgres.connect() as outside:
        return int(outside.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_a_flush_in_mid_fill_stores_nothing_old(
    site: Any, article: Any, project: Any, monkeypatch: pytest.MonkeyPatch, make_round: Callable[[], None]
) -> None:
    def read() -> str:
        return str(site.Article.objects.get(pk=1).title)

    with paused_fill(monkeypatch, read):
        project.store.client().flushall()
        make_round()
        site.Article.objects.filter(pk=1).update(title="new")
    make_round()
    assert read() == "new"
    assert is_hit(read)


def test_what_is_pending_is_no_hit(site: Any, article: Any, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def read() -> str:
        return str(site.Article.objects.get(pk=1).title)

    assert is_hit(read)
    arrived, resume = threading.Event(), threading.Event()
    original = ProtocolStore.stamp

    def wait(self: Any, tags: Any, xid: str) -> Any:
        if threading.get_ident() == writer_id:
            arrived.set()
            assert resume.wait(10)
        return original(self, tags, xid)

    writer_id = 0

    def write() -> None:
        nonlocal writer_id
        writer_id = threading.get_ident()
        site.Article.objects.filter(pk=1).update(title="new")
        connections.close_all()

    monkeypatch.setattr(ProtocolStore, "stamp", wait)
    thread = threading.Thread(target=write)
    thread.start()
    assert arrived.wait(10)
    assert read() == "new"  # visible already, though its commit has not returned: nobody may see older any more
    resume.set()
    thread.join(10)
    assert read() == "new"


def test_triggers_that_are_gone_fail_closed(site: Any, article: Any, project: Any) -> None:
    assert is_hit(lambda: list(site.Tag.objects.all()))
    with project.postgres.connect() as outside:
        outside.execute("ALTER TABLE newsstand_tag DISABLE TRIGGER slipstream_insert")
    try:
        wait_until(lambda: not is_hit(lambda: list(site.Tag.objects.all())), "the table is no longer trusted", 2)
        with record() as recorder:
            list(site.Tag.objects.all())
        assert "incomplete or disabled" in recorder.obstacles[0]
        with project.postgres.connect() as outside:
            outside.execute("INSERT INTO newsstand_tag (name) VALUES ('unseen')")
        assert len(site.Tag.objects.all()) == 1
    finally:
        with project.postgres.connect() as outside:
            outside.execute("ALTER TABLE newsstand_tag ENABLE ALWAYS TRIGGER slipstream_insert")
    wait_until(lambda: is_hit(lambda: list(site.Tag.objects.all())), "the table is trusted again", 5)


def test_a_lost_store_costs_no_page(site: Any, article: Any, project: Any) -> None:
    assert is_hit(lambda: site.Article.objects.get(pk=1))
    project.store.kill()
    try:
        assert site.Article.objects.get(pk=1).title == "zero"
    finally:
        project.store.start()
        keeper._rests_until = 0.0
    wait_until(lambda: is_hit(lambda: site.Article.objects.get(pk=1)), "the cache works again", 10)
