"""The property that everything rests on: a write that changes a query's answer emits a tag that the query carries.

Random queries and random writes on a real PostgreSQL, the tags of the reads from Django's hooks, those of the writes from the
triggers. `CASES=20000 pytest ...` for longer; a failure prints the smallest query and write.
"""

from __future__ import annotations

import datetime
import os
from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from django.db.models import Avg, Count, Exists, F, Max, OuterRef, Q, Subquery, Sum
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from slipstream.freshness.commits import read_own_outbox
from slipstream.freshness.recorder import record

CASES = int(os.environ.get("CASES", "1200"))
IDS = st.integers(1, 6)
DAYS = st.sampled_from([None, datetime.date(2024, 1, 1), datetime.date(2024, 2, 2)])
TEXTS = st.sampled_from(["a", "b", "c"])
SLUGS = st.sampled_from(["s1", "s2", "s3", "s9"])


def conditions_of(prefix: str, model: str) -> Any:
    """One lookup on the model, reached by `prefix`."""
    by_model = {
        "Article": [
            st.tuples(st.just("pk"), IDS),
            st.tuples(st.just("id__in"), st.lists(IDS, max_size=3)),
            st.tuples(st.just("section"), IDS),
            st.tuples(st.just("section__in"), st.lists(IDS, max_size=3)),
            st.tuples(st.just("author"), IDS),
            st.tuples(st.just("author__isnull"), st.booleans()),
            st.tuples(st.just("is_public"), st.booleans()),
            st.tuples(st.just("day"), DAYS.filter(bool)),
            st.tuples(st.just("day__isnull"), st.booleans()),
            st.tuples(st.just("day__year"), st.just(2024)),
            st.tuples(st.just("title"), TEXTS),
            st.tuples(st.just("version__gte"), IDS),
            st.tuples(st.just("version"), st.just("F")),
        ],
        "Section": [st.tuples(st.just("slug"), SLUGS), st.tuples(st.just("pk"), IDS), st.tuples(st.just("name__iexact"), TEXTS)],
        "Author": [
            st.tuples(st.just("pk"), IDS),
            st.tuples(st.just("name"), TEXTS),
            st.tuples(st.just("pk__isnull"), st.booleans()),
        ],
        "Comment": [
            st.tuples(st.just("pk"), IDS),
            st.tuples(st.just("score__gt"), IDS),
            st.tuples(st.just("article"), IDS),
            st.tuples(st.just("pk__isnull"), st.booleans()),
        ],
        "Tag": [st.tuples(st.just("pk"), IDS), st.tuples(st.just("name__in"), st.lists(TEXTS, max_size=2))],
        "Feature": [st.tuples(st.just("pk"), IDS), st.tuples(st.just("weight"), IDS)],
    }
    return st.one_of(by_model[model]).map(
        lambda pair: Q(**{f"{prefix}{pair[0]}": F(f"{prefix}section_id") if pair[1] == "F" else pair[1]})
    )


ROOTS = {
    "Article": [("", "Article"), ("section__", "Section"), ("author__", "Author"), ("comments__", "Comment"), ("tags__", "Tag")],
    "Comment": [("", "Comment"), ("article__", "Article"), ("article__section__", "Section"), ("article__author__", "Author")],
    "Section": [("", "Section"), ("articles__", "Article"), ("articles__comments__", "Comment")],
    "Feature": [("", "Feature"), ("", "Article"), ("section__", "Section"), ("comments__", "Comment")],
    "Tag": [("", "Tag"), ("article__", "Article"), ("article__section__", "Section")],
    "PublicArticle": [("", "Article"), ("author__", "Author")],
}


def trees_of(root: str) -> Any:
    leaves = st.one_of([conditions_of(prefix, model) for prefix, model in ROOTS[root]])
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.tuples(inner, inner).map(lambda pair: pair[0] & pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] | pair[1]),
            st.tuples(inner, inner).map(lambda pair: pair[0] ^ pair[1]),
            inner.map(lambda one: ~one),
        ),
        max_leaves=4,
    )


SHAPES = [
    "instances",
    "values",
    "count",
    "exists",
    "aggregate",
    "grouped",
    "related",
    "prefetched",
    "annotated",
    "subquery",
    "within",
    "union",
    "slice",
    "dates",
    "raw",
]
READS = st.sampled_from(sorted(ROOTS)).flatmap(
    lambda root: st.tuples(st.just(root), st.lists(trees_of(root), max_size=2), st.sampled_from(SHAPES), trees_of(root))
)
CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "section_id": st.integers(1, 3),
        "author_id": st.sampled_from([None, 1, 2]),
        "title": TEXTS,
        "version": IDS,
        "is_public": st.booleans(),
        "day": DAYS,
    },
)
WRITES = st.one_of(
    st.tuples(st.just("save"), IDS, CHANGES),
    st.tuples(st.just("update"), trees_of("Article"), CHANGES),
    st.tuples(st.just("create"), IDS, CHANGES),
    st.tuples(st.just("upsert"), IDS, CHANGES),
    st.tuples(st.just("feature"), IDS, CHANGES),
    st.tuples(st.just("delete"), st.sampled_from(["Article", "Section", "Author", "Comment", "Tag", "Feature"]), IDS),
    st.tuples(st.just("comment"), IDS, IDS),
    st.tuples(st.just("rename"), st.sampled_from(["Section", "Author", "Tag"]), st.tuples(IDS, TEXTS, SLUGS)),
    st.tuples(st.just("tags"), IDS, st.lists(IDS, max_size=3)),
    st.tuples(st.just("F"), IDS, st.sampled_from(["version", "section_id"])),
    st.tuples(st.just("raw"), IDS, IDS),
    st.tuples(st.just("savepoint"), IDS, IDS),
    st.tuples(st.just("many"), IDS, IDS),
    st.tuples(st.just("truncate"), st.sampled_from(["newsstand_comment", "newsstand_article_tags"]), IDS),
)


@pytest.fixture
def filled(site: Any) -> Any:
    for number in (1, 2, 3):
        site.Section.objects.create(id=number, slug=f"s{number}", name="abc"[number - 1])
    for number in (1, 2):
        site.Author.objects.create(id=number, name="ab"[number - 1])
    for number in (1, 2, 3):
        site.Tag.objects.create(id=number, name="abc"[number - 1])
    for number in (1, 2, 3):
        article = site.Article.objects.create(
            id=number,
            section_id=number % 2 + 1,
            author_id=[None, 1, 2][number - 1],
            title="aab"[number - 1],
            version=number,
            day=[None, datetime.date(2024, 1, 1), datetime.date(2024, 2, 2)][number - 1],
            is_public=number != 2,
        )
        article.tags.set([number])
    site.Feature.objects.create(id=4, section_id=1, title="b", weight=2)
    for number in (1, 2, 3):
        site.Comment.objects.create(id=number, article_id=number % 2 + 1, score=number)
    return site


def ask(m: Any, read: Any) -> Any:
    root, filters, shape, extra = read
    found = getattr(m, root).objects.all()
    for one in filters:
        found = found.filter(one)
    if shape == "count":
        return found.count()
    if shape == "exists":
        return found.exists()
    if shape == "aggregate":
        return found.aggregate(n=Count("pk"), m=Max("pk"), a=Avg("pk"), s=Sum("pk", filter=extra))
    if shape == "grouped":
        return sorted(map(str, found.order_by().values("pk").annotate(n=Count(ROOTS[root][-1][0].split("__")[0] or "pk"))))
    if shape == "values":
        return list(found.order_by("pk").values_list())
    if shape == "related":
        names = [one.name for one in found.model._meta.fields if one.many_to_one]
        return [state_of(one, names) for one in found.order_by("pk").select_related(*names)]
    if shape == "prefetched" and root in ("Article", "Feature", "PublicArticle"):
        return [
            (state_of(one, []), sorted(tag.name for tag in one.tags.all()), sorted(each.score for each in one.comments.all()))
            for one in found.order_by("pk").prefetch_related("tags", "comments")
        ]
    if shape == "annotated":
        inner = m.Comment.objects.filter(article=OuterRef("pk"), score__gt=1)
        return list(found.order_by("pk").annotate(e=Exists(inner)).values_list("pk", "e"))
    if shape == "subquery":
        inner = m.Article.objects.filter(section=OuterRef("pk")).order_by("-version", "pk").values("title")[:1]
        return list(found.order_by("pk").annotate(t=Subquery(inner)).values_list("pk", "t"))
    if shape == "within":
        return list(found.filter(pk__in=getattr(m, root).objects.filter(extra).values("pk")).order_by("pk").values_list("pk"))
    if shape == "union":
        return sorted(
            found.order_by().values_list("pk").union(getattr(m, root).objects.filter(extra).order_by().values_list("pk"))
        )
    if shape == "slice":
        return list(found.order_by("-pk").values_list()[1:3])
    if shape == "dates" and root == "Article":
        return list(found.dates("day", "month"))
    if shape == "raw":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT a.id, s.name FROM newsstand_article a JOIN newsstand_section AS s ON s.id = a.section_id ORDER BY 1"
            )
            return cursor.fetchall()
    return [state_of(one, []) for one in found.order_by("pk")]


def state_of(instance: Any, related: list[str]) -> Any:
    state = {name: value for name, value in vars(instance).items() if not name.startswith("_")}
    for name in related:
        other = getattr(instance, name)
        state[name + "."] = None if other is None else {k: v for k, v in vars(other).items() if not k.startswith("_")}
    return state


def change(m: Any, write: tuple[Any, Any, Any]) -> None:
    kind, one, other = write
    if kind == "save":
        for article in m.Article.objects.filter(pk=one):
            for name, value in other.items():
                setattr(article, name, value)
            article.save()
    elif kind == "update" and other:
        m.Article.objects.filter(one).update(**other)
    elif kind == "create":
        m.Article.objects.bulk_create([m.Article(id=one, **{"section_id": 1, **other})], ignore_conflicts=True)
    elif kind == "upsert" and other:
        m.Article.objects.bulk_create(
            [m.Article(id=one, **{"section_id": 1, **other}), m.Article(id=7, **{"section_id": 2, **other})],
            update_conflicts=True,
            unique_fields=["id"],
            update_fields=list(other),
        )
    elif kind == "feature":
        m.Feature(id=one, **{"section_id": 1, "weight": 3, **other}).save()
    elif kind == "delete":
        getattr(m, one).objects.filter(pk=other).delete()
    elif kind == "comment":
        m.Comment(id=one, article_id=min(other, 3), score=other).save()
    elif kind == "rename":
        number, name, slug = other
        getattr(m, one).objects.filter(pk=number).update(name=name, **({"slug": slug} if one == "Section" else {}))
    elif kind == "tags":
        for article in m.Article.objects.filter(pk=one):
            article.tags.set(m.Tag.objects.filter(pk__in=other))
    elif kind == "F":
        m.Article.objects.filter(pk=one).update(**{other: F("version") % 3 + 1})
    elif kind == "raw":
        with connection.cursor() as cursor:
            cursor.execute(f"UPDATE newsstand_article SET version = version + 1, section_id = {one % 3 + 1} WHERE id <= {other}")
    elif kind == "savepoint":
        try:
            with transaction.atomic():
                m.Article.objects.update(title="gone")
                raise RuntimeError
        except RuntimeError:
            m.Comment.objects.filter(pk=one).update(score=other)
    elif kind == "many":
        m.Comment.objects.bulk_create([m.Comment(article_id=1, score=one) for _ in range(202)])
    elif kind == "truncate":
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {one}")


def test_what_a_write_changes_shares_a_tag_with_it(filled: Any) -> None:
    seen = {"changed": 0, "spared": 0, "needless": 0, "cases": 0}

    @settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.explicit, Phase.generate, Phase.shrink),
        print_blob=True,
    )
    @example(  # LEFT JOIN: a NULL there may be a row that does not exist, of which no write tells
        ("Section", [Q(articles__author__isnull=True)], "count", Q(pk=1)), [("create", 5, {"section_id": 3, "author_id": 1})]
    )
    @given(READS, st.lists(WRITES, min_size=1, max_size=2))
    def hold(read: Any, writes: list[Any]) -> None:
        seen["cases"] += 1
        with transaction.atomic():
            with record() as recorder:
                before = ask(filled, read)
            assert recorder.obstacles == []
            try:
                with transaction.atomic():
                    with connection.cursor() as cursor:
                        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
                    for write in writes:
                        change(filled, write)
            except IntegrityError:
                transaction.set_rollback(True)
                return
            written = read_own_outbox(connection)
            emitted = written.tags if written is not None else frozenset()
            after = ask(filled, read)
            transaction.set_rollback(True)
        shared = emitted & recorder.tags
        if before != after:
            seen["changed"] += 1
            assert shared, f"{read}\n{writes}\nchanged {before}\n to {after}\nread {recorder.tags}\nwrote {emitted}"
        else:
            seen["needless" if shared else "spared"] += 1

    hold()
    print(seen)
    assert seen["changed"] > CASES / 20 and seen["spared"] > CASES / 20, seen
