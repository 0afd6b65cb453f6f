"""Whatever Django reads, the recorder knows by the narrowest name; what nobody can name is not kept."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, connections, transaction
from django.db.models import Count, Exists, F, OuterRef, Prefetch, Q, Subquery, Window
from django.db.models.functions import Now, RowNumber
from django.utils import timezone

from slipstream.freshness.orm import hooks
from slipstream.freshness.recorder import current_recorder, note_read, record
from slipstream.freshness.standing import begin_standing


@pytest.fixture
def world(site: Any) -> SimpleNamespace:
    news, sport = (site.Section.objects.create(slug=slug, name=slug) for slug in ("news", "sport"))
    author = site.Author.objects.create(name="Ann")
    one = site.Article.objects.create(section=news, author=author, title="one")
    two = site.Article.objects.create(section=sport, title="two")
    one.tags.add(site.Tag.objects.create(name="x"))
    site.Comment.objects.create(article=one, text="hello")
    site.ContentType.objects.clear_cache()
    return SimpleNamespace(m=site, news=news, sport=sport, one=one, two=two, author=author)


def tags_of(read: Any) -> set[str]:
    with record() as recorder:
        read()
    assert recorder.obstacles == []
    return {tag.removeprefix("public.newsstand_") for tag in recorder.tags}


def obstacles_of(read: Any) -> str:
    with record() as recorder:
        read()
    return "; ".join(recorder.obstacles)


def test_an_instance_is_its_row(world: Any) -> None:
    assert tags_of(lambda: world.m.Article.objects.get(pk=1)) == {"article*", "article:1"}
    assert tags_of(lambda: world.m.Article.objects.get(pk=99) if world.m.Article.objects.filter(pk=99) else 0) == {
        "article*",
        "article:99",
    }
    assert tags_of(lambda: world.m.PublicArticle.objects.get(id=1)) == {"article*", "article:1"}


def test_lists_are_conditions_or_tables(world: Any) -> None:
    articles = world.m.Article.objects
    assert tags_of(lambda: list(articles.filter(section=world.news))) == {"article*", "article{section_id=1}"}
    assert tags_of(lambda: list(articles.filter(section=world.news, title__contains="o").order_by("-id")[:3])) == {
        "article*",
        "article{section_id=1}",
    }
    assert tags_of(lambda: list(articles.filter(section=5))) == {"article*", "article{section_id=5}"}  # empty carries the same
    assert tags_of(lambda: list(articles.filter(author=None))) == {"article*", "article{author_id=~}"}
    assert tags_of(lambda: list(articles.filter(is_public=True))) == {"article*", "article{is_public=t}"}
    assert tags_of(lambda: list(articles.filter(Q(section=1) | Q(section=2)))) == {
        "article*",
        "article{section_id=1}",
        "article{section_id=2}",
    }
    assert tags_of(lambda: list(articles.filter(Q(section=1) | Q(title="x")))) == {"article*", "article"}
    assert tags_of(lambda: list(articles.exclude(section=1))) == {"article*", "article"}
    assert tags_of(lambda: articles.in_bulk([1, 2])) == {"article*", "article:1", "article:2"}
    assert tags_of(lambda: list(world.m.Section.objects.filter(slug="news"))) == {"section*", "section{slug='news}"}


def test_every_way_of_asking_is_seen(world: Any) -> None:
    articles = world.m.Article.objects
    expected = {"article*", "article{section_id=1}"}
    chosen = articles.filter(section=1)
    for read in (
        lambda: list(chosen.values("title")),
        lambda: list(chosen.values_list("title", flat=True)),
        chosen.count,
        chosen.exists,
        chosen.first,
        lambda: list(chosen.iterator(chunk_size=1)),
        lambda: chosen.aggregate(n=Count("id")),
        lambda: list(chosen.annotate(n=Window(RowNumber()))),
        lambda: list(chosen.union(articles.filter(section=1))),
        lambda: list(chosen.dates("day", "year")),
        lambda: world.news.articles.get(),
    ):
        assert tags_of(read) == expected


def test_joins_name_every_table(world: Any) -> None:
    articles = world.m.Article.objects
    assert tags_of(lambda: list(articles.select_related("section", "author"))) >= {"article", "section*", "author*"}
    assert tags_of(lambda: list(articles.filter(section__slug="news"))) == {
        "article*",
        "article",
        "section*",
        "section{slug='news}",
    }
    assert tags_of(lambda: list(world.m.Comment.objects.filter(article__section=1))) >= {"article{section_id=1}", "comment"}
    assert tags_of(lambda: list(articles.filter(comments__isnull=True))) >= {"comment", "article"}
    prefetched = tags_of(lambda: list(articles.filter(pk=1).prefetch_related("tags", "comments")))
    assert prefetched >= {"article:1", "article_tags{article_id=1}", "comment{article_id=1}", "tag*"}
    chosen = Prefetch("comments", world.m.Comment.objects.filter(score=3))
    assert tags_of(lambda: list(articles.prefetch_related(chosen))) >= {"comment*", "comment{article_id=1}"}


def test_subqueries_are_seen(world: Any) -> None:
    m = world.m
    comments = m.Comment.objects.filter(article=OuterRef("pk"))
    for read in (
        lambda: list(m.Article.objects.annotate(n=Exists(comments))),
        lambda: list(m.Article.objects.filter(Exists(comments))),
        lambda: list(m.Article.objects.annotate(n=Subquery(comments.values("text")[:1]))),
        lambda: list(m.Article.objects.annotate(n=Count("comments"))),
        lambda: list(m.Article.objects.filter(id__in=m.Comment.objects.values("article"))),
        lambda: list(m.Article.objects.order_by(Subquery(comments.values("score")[:1]))),
        lambda: m.Article.objects.annotate(n=Count("comments")).aggregate(m=Count("n")),
        lambda: list(m.Article.objects.exclude(comments__score=3)),
    ):
        assert tags_of(read) >= {"article", "comment*", "comment"}
    narrow = m.Comment.objects.filter(article=1).values("article")
    assert tags_of(lambda: list(m.Article.objects.filter(id__in=narrow))) >= {"comment{article_id=1}", "article"}


def test_inheritance_follows_the_parent(world: Any) -> None:
    feature = world.m.Feature.objects.create(section=world.news, title="long", weight=3)
    assert tags_of(lambda: world.m.Feature.objects.get(pk=feature.pk)) == {
        "article*",
        f"article:{feature.pk}",
        "feature*",
        f"feature:{feature.pk}",
    }


def test_generic_relations_and_content_types(world: Any) -> None:
    world.one.notes.create(text="n")
    world.m.ContentType.objects.clear_cache()
    found = tags_of(lambda: list(world.one.notes.all()))
    assert any(tag.startswith("public.django_content_type") for tag in found)
    assert "note*" in found and any(tag.startswith("note{") for tag in found)


def test_raw_sql_is_read_by_its_text(world: Any) -> None:
    def ask() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM newsstand_comment c JOIN newsstand_article a ON a.id = c.article_id")

    assert tags_of(ask) == {"article*", "article", "comment*", "comment"}
    assert tags_of(lambda: list(world.m.Article.objects.raw("SELECT * FROM newsstand_article"))) == {"article*", "article"}
    assert tags_of(lambda: list(world.m.Article.objects.extra(where=["EXISTS (SELECT 1 FROM newsstand_comment)"]))) >= {"comment"}


def test_what_cannot_be_named_fails_closed(world: Any) -> None:
    def run(sql: str) -> Any:
        def ask() -> None:
            with connection.cursor() as cursor:
                cursor.execute(sql)

        return ask

    assert "never tracked" in obstacles_of(lambda: list(world.m.Private.objects.all())) or obstacles_of(
        lambda: list(world.m.Private.objects.all())
    )
    assert "is not known" in obstacles_of(run("SELECT 1 FROM pg_stat_activity"))
    assert "may have written" in obstacles_of(run("SELECT $$x$$"))
    assert "may have written" in obstacles_of(run("SELECT pg_sleep(0)"))
    assert "locked" in obstacles_of(lambda: _lock(world))
    assert "has written" in obstacles_of(lambda: _write_and_read(world))


def _lock(world: Any) -> None:
    with transaction.atomic():
        list(world.m.Article.objects.select_for_update().filter(pk=1))


def _write_and_read(world: Any) -> None:
    with transaction.atomic():
        world.m.Article.objects.filter(pk=1).update(title="x")
        world.m.Article.objects.get(pk=1)


def test_session_changes_end_with_the_connection(world: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO pg_catalog, public")
    assert "SET was run" in obstacles_of(lambda: world.m.Article.objects.get(pk=1))
    connection.close()
    assert not obstacles_of(lambda: world.m.Article.objects.get(pk=1))


def test_a_pooled_connection_stays_altered(world: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SET search_path TO public")
    physical = connection.connection
    begin_standing(connection)  # as when a pool hands the same connection out again
    assert connection.connection is physical
    assert "SET was run" in obstacles_of(lambda: world.m.Article.objects.get(pk=1))


def test_databases_that_are_not_followed_are_obstacles(world: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    connections["archive"].close()
    with monkeypatch.context() as patch:
        patch.setattr(hooks, "is_followed", lambda alias: alias != "archive")
        connections["archive"].execute_wrappers.clear()
        assert "not followed" in obstacles_of(lambda: list(world.m.Article.objects.using("archive")))
        assert not obstacles_of(lambda: list(world.m.Article.objects.all()))
    connections["archive"].close()
    connections["archive"].execute_wrappers.clear()
    assert not obstacles_of(lambda: list(world.m.Article.objects.using("archive")))


def test_clocks_cap_the_lifetime(world: Any) -> None:
    for condition in (Now(), timezone.now()):
        with record() as recorder:
            list(world.m.Article.objects.annotate(now=Now()).filter(now__lt=condition))
        assert recorder.longest_seconds == 60
    with record() as recorder:
        list(world.m.Article.objects.all())
    assert recorder.longest_seconds is None


def test_repeatable_read_is_refused(world: Any) -> None:
    def ask() -> None:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            world.m.Article.objects.get(pk=1)

    assert obstacles_of(ask)


def test_a_second_database_is_tracked_as_well(world: Any) -> None:
    assert tags_of(lambda: list(world.m.Article.objects.using("archive").filter(section=3))) == {
        "article*",
        "article{section_id=3}",
    }


def test_recorders_nest_and_bubble() -> None:
    with record("epoch") as outer:
        with record() as inner:
            note_read(["a.b:1"])
            inner.narrow("person:1")
            inner.cap(5)
        assert inner.epoch == "epoch"
        with record(bubbles=False):
            note_read(["a.b:2"])
    assert outer.tags == {"a.b:1"} and outer.audience == "person:1" and outer.longest_seconds == 5 and outer.may_be_kept
    outer.narrow("person:2")
    assert not outer.may_be_kept
    assert current_recorder() is None


def test_threads_without_a_recorder_make_builds_unshareable(world: Any) -> None:
    def read() -> None:
        list(world.m.Article.objects.all())
        connections.close_all()

    with record() as recorder:
        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
    assert not recorder.may_be_kept
    with record() as recorder:
        list(world.m.Article.objects.all())
    assert recorder.may_be_kept


def test_async_reads_reach_the_recorder(world: Any) -> None:
    async def read() -> set[str]:
        with record() as recorder:
            await world.m.Article.objects.aget(pk=1)
            [one async for one in world.m.Comment.objects.filter(article=1)]
        assert recorder.may_be_kept
        return recorder.tags

    found = asyncio.run(read())
    assert "public.newsstand_article:1" in found and "public.newsstand_comment{article_id=1}" in found


def test_values_and_f_expressions_widen(world: Any) -> None:
    assert tags_of(lambda: list(world.m.Article.objects.filter(section=F("author")))) == {"article*", "article"}
