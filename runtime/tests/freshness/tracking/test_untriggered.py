"""Without triggers: what Django itself writes is seen, table by table; inside transactions nothing comes from the cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections, transaction
from django.test.utils import CaptureQueriesContext

from slipstream.freshness import keeper
from slipstream.freshness.daemon import Daemon
from slipstream.freshness.recorder import record

pytestmark = pytest.mark.usefixtures("daemon")


@pytest.fixture
def local(site: Any) -> Any:
    for model in (site.Comment, site.Article, site.Section):
        model.objects.using("local").all().delete()
    section = site.Section.objects.using("local").create(slug="s", name="s")
    site.Article.objects.using("local").create(id=1, section=section, title="zero")
    return site


def is_hit(read: Callable[[], Any]) -> bool:
    read()
    with CaptureQueriesContext(connections["local"]) as captured:
        read()
    return not any("SELECT" in query["sql"] for query in captured)


def test_every_write_of_django_is_seen(local: Any) -> None:
    articles = local.Article.objects.using("local")

    def title() -> str:
        return str(articles.get(pk=1).title)

    def raw() -> None:
        with connections["local"].cursor() as cursor:
            cursor.execute("UPDATE newsstand_article SET title = 'raw'")

    def atomic() -> None:
        with transaction.atomic(using="local"):
            articles.update(title="atomic")
            assert title() == "atomic"

    def rolled_back() -> None:
        with transaction.atomic(using="local"):
            articles.update(title="gone")
            transaction.set_rollback(True, using="local")

    for write, expected in (
        (lambda: articles.update(title="update"), "update"),
        (raw, "raw"),
        (atomic, "atomic"),
        (rolled_back, "atomic"),
    ):
        assert is_hit(title)
        write()
        assert title() == expected
    comments = local.Comment.objects.using("local")
    assert is_hit(lambda: list(comments.all()))
    comments.create(article_id=1, text="x")
    assert comments.count() == 1
    assert is_hit(comments.count)
    articles.all().delete()
    assert comments.count() == 0


def test_tags_name_whole_tables(local: Any) -> None:
    with record() as recorder:
        local.Article.objects.using("local").get(pk=1)
    assert recorder.tags == {"main.newsstand_article", "main.newsstand_article*"} and recorder.may_be_kept
    with record() as recorder, transaction.atomic(using="local"):
        local.Article.objects.using("local").get(pk=1)
    assert "inside a transaction" in recorder.obstacles[0]


def test_statements_that_nobody_understands_begin_an_epoch(local: Any) -> None:
    before = keeper.open_store().begin().epoch
    with connections["local"].cursor() as cursor:
        cursor.execute("REPLACE INTO newsstand_tag (id, name) VALUES (1, 'x')")
    assert keeper.open_store().begin().epoch == before  # named: its table is folded
    with connections["local"].cursor() as cursor:
        cursor.execute("CREATE INDEX another ON newsstand_article (title)")
        cursor.execute("DROP INDEX another")
    assert keeper.open_store().begin().epoch != before


def test_a_dead_writer_is_given_up_after_a_minute(local: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = keeper.open_store()
    store.pend(["main.newsstand_article*"], "local:1:5")
    assert not is_hit(lambda: list(local.Article.objects.using("local")))
    Daemon([], frozenset({"local"})).make_round()
    assert is_hit(lambda: list(local.Article.objects.using("local")))
