"""Whatever a write changes in a query's answer, the two share a tag; and what it cannot change stays in the cache."""

import datetime
import uuid
from collections.abc import Callable, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.freshness.protocol.reads import MOST_BRANCHES, Both, Either, Equal, Predicate, Unknown, carried_tags
from slipstream.freshness.protocol.tags import (
    Column,
    Kind,
    Table,
    condition_tag,
    encode_value,
    row_tag,
    table_of,
    table_tag,
    whole_table_tag,
)
from slipstream.freshness.protocol.writes import MOST_TAGS, emitted_tags, folded_tags, name_transaction

ID = Column("id", Kind.INTEGER)
SECTION = Column("section_id", Kind.INTEGER)
SLUG = Column("slug", Kind.TEXT)
TITLE = Column("title", Kind.TEXT)  # no writer emits its conditions
ARTICLE = Table("public", "article", (ID,), (SECTION, SLUG))
MEMBER = Table("public", "member", (SECTION, SLUG), (SLUG,))
KEYLESS = Table("public", "log", (), (SECTION,))
TABLES = (ARTICLE, MEMBER, KEYLESS)

Row = Mapping[str, object]
numbers = st.integers(0, 3)
texts = st.sampled_from(["", "a", "~", "'a", "5", "ä", "a b", "x" * 200, "x" * 199 + "y"])
rows = st.builds(
    lambda id, section, slug, title: {"id": id, "section_id": section, "slug": slug, "title": title},
    numbers,
    st.none() | numbers,
    st.none() | texts,
    texts,
)
equalities = (
    st.builds(Equal, st.sampled_from([ID, SECTION]), st.none() | numbers)
    | st.builds(Equal, st.just(SLUG), st.none() | texts)
    | st.builds(Equal, st.just(TITLE), texts)
)
predicates: st.SearchStrategy[Predicate] = st.recursive(
    equalities | st.just(Unknown()),
    lambda inner: st.lists(inner, max_size=3).map(tuple).flatmap(lambda parts: st.sampled_from([Both(parts), Either(parts)])),
    max_leaves=6,
)


def holds(predicate: Predicate, row: Row, unknown: Callable[[Row], bool]) -> bool:
    if isinstance(predicate, Equal):
        return row[predicate.column.name] == predicate.value
    if isinstance(predicate, Both):
        return all(holds(part, row, unknown) for part in predicate.parts)
    if isinstance(predicate, Either):
        return any(holds(part, row, unknown) for part in predicate.parts)
    return unknown(row)


@given(st.sampled_from(TABLES), predicates, st.none() | rows, st.none() | rows, st.booleans(), st.booleans())
def test_a_changed_answer_shares_a_tag_with_the_write(
    table: Table, predicate: Predicate, before: Row | None, after: Row | None, first: bool, second: bool
) -> None:
    def answer(row: Row | None, unknown: bool) -> Row | None:
        return row if row is not None and holds(predicate, row, lambda _: unknown) else None

    images = [row for row in (before, after) if row is not None]
    if answer(before, first) != answer(after, second):
        carried = carried_tags(table, predicate)
        assert carried & emitted_tags(table, images)
        assert carried & folded_tags(table)


@given(st.sampled_from(TABLES), predicates)
def test_every_reader_notices_a_folded_write(table: Table, predicate: Predicate) -> None:
    assert carried_tags(table, predicate) & folded_tags(table) == {whole_table_tag(table)}


def test_comment_on_one_article_leaves_the_page_of_another() -> None:
    comment = Table("public", "comment", (ID,), (Column("article_id", Kind.INTEGER),))
    of_article = [carried_tags(comment, Equal(comment.conditions[0], number)) for number in (1, 2)]
    written = emitted_tags(comment, [{"id": 7, "article_id": 1}])
    assert of_article[0] & written == {"public.comment{article_id=1}"}
    assert not of_article[1] & written


def test_moved_article_renews_both_sections_only_because_both_images_emit() -> None:
    before, after = ({"id": 7, "section_id": section, "slug": "s"} for section in (1, 2))
    both = emitted_tags(ARTICLE, [before, after])
    only_after = emitted_tags(ARTICLE, [after])
    old_section = carried_tags(ARTICLE, Equal(SECTION, 1))
    assert old_section & both
    assert not old_section & only_after  # the mutation: it would stay stale for ever


def test_insert_into_an_empty_list_renews_it() -> None:
    empty = carried_tags(ARTICLE, Both((Equal(SECTION, 3), Unknown())))
    assert empty & emitted_tags(ARTICLE, [{"id": 1, "section_id": 3, "slug": None}])


def test_narrowest_usable_conjunct_wins_and_one_unusable_branch_widens() -> None:
    whole = whole_table_tag(ARTICLE)
    assert carried_tags(ARTICLE, Both((Equal(SECTION, 1), Equal(ID, 5), Unknown()))) == {whole, "public.article:5"}
    assert carried_tags(ARTICLE, Either((Equal(ID, 1), Equal(ID, 2)))) == {whole, "public.article:1", "public.article:2"}
    assert carried_tags(ARTICLE, Either((Equal(ID, 1), Unknown()))) == {whole, "public.article"}
    assert carried_tags(ARTICLE, Either(())) == {whole}
    assert carried_tags(ARTICLE, Equal(TITLE, "x")) == {whole, "public.article"}
    assert carried_tags(ARTICLE, Equal(SECTION, True)) == {whole, "public.article"}
    assert carried_tags(ARTICLE, Equal(SECTION, None)) == {whole, "public.article{section_id=~}"}
    assert carried_tags(MEMBER, Both((Equal(SLUG, "a"), Equal(SECTION, 4)))) == {"public.member*", "public.member:4,'a"}
    many = Either(tuple(Equal(ID, number) for number in range(MOST_BRANCHES + 1)))
    assert carried_tags(ARTICLE, many) == {whole, "public.article"}


def test_writes_fold_where_a_reader_could_carry_what_cannot_be_named() -> None:
    folded = folded_tags(ARTICLE)
    assert emitted_tags(ARTICLE, [{"id": 1, "section_id": 1}]) == folded  # a column that the writer does not know
    assert emitted_tags(ARTICLE, [{"id": 1, "section_id": "1", "slug": "a"}]) == folded
    assert emitted_tags(ARTICLE, [{"id": number, "section_id": 1, "slug": "a"} for number in range(MOST_TAGS)]) == folded
    assert emitted_tags(ARTICLE, []) == frozenset()
    assert emitted_tags(KEYLESS, [{"section_id": 1}]) == {"public.log", "public.log{section_id=1}"}


names = st.text(min_size=1, max_size=12)


@given(names, names, names, st.none() | st.text(), names, names, names, st.none() | st.text())
def test_tags_are_equal_only_for_equal_things(
    schema: str, name: str, column: str, value: str | None, schema2: str, name2: str, column2: str, value2: str | None
) -> None:
    def build(schema: str, name: str, column: str, value: str | None) -> list[str]:
        it = Column(column, Kind.TEXT)
        table = Table(schema, name, (it,), (it,))
        found = [table_tag(table), whole_table_tag(table), condition_tag(table, it, value), row_tag(table, (value,))]
        assert all(tag is None or table_of(tag) == found[0] for tag in found)
        assert all(tag is None or (tag.isascii() and tag.isprintable() and " " not in tag) for tag in found)
        return [tag for tag in found if tag is not None]

    try:
        first, second = build(schema, name, column, value), build(schema2, name2, column2, value2)
    except UnicodeEncodeError:  # a lone surrogate in a name, which no database holds
        return
    assert len(set(first)) == len(first)
    if (schema, name) != (schema2, name2):
        assert not set(first) & set(second)
    elif (column, value) != (column2, value2):
        assert not {tag for tag in first if "{" in tag} & {tag for tag in second if "{" in tag}


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (Kind.INTEGER, -5, "-5"),
        (Kind.INTEGER, True, None),
        (Kind.INTEGER, 5.0, None),
        (Kind.BOOLEAN, True, "t"),
        (Kind.BOOLEAN, 1, None),
        (Kind.UUID, uuid.UUID(int=5), "00000000-0000-0000-0000-000000000005"),
        (Kind.UUID, "00000000-0000-0000-0000-00000000000A", "00000000-0000-0000-0000-00000000000a"),
        (Kind.UUID, "no", None),
        (Kind.DATE, datetime.date(2026, 1, 2), "2026-01-02"),
        (Kind.DATE, "2026-01-02", "2026-01-02"),
        (Kind.DATE, datetime.datetime(2026, 1, 2, 3), None),
        (Kind.DATE, "infinity", None),
        (Kind.TEXT, "~", "'%7E"),
        (Kind.TEXT, None, "~"),
        (Kind.TEXT, "grün}", "'gr%C3%BCn%7D"),
        (Kind.TEXT, "\ud800", None),
        (Kind.TEXT, b"bytes", None),
    ],
)
def test_values_have_one_text_or_none(kind: Kind, value: object, text: str | None) -> None:
    assert encode_value(kind, value) == text


def test_what_is_no_tag_is_refused_with_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"'article' does not begin with schema\.table"):
        table_of("article")  # type: ignore[arg-type]


def test_names_of_transactions_survive_a_failover() -> None:
    assert name_transaction("default", 1, 7) != name_transaction("default", 2, 7)
