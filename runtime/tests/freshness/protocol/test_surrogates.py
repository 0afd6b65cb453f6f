"""Folding keys may purge more, never less."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.freshness.protocol.surrogates import MOST_KEYS, MOST_PURGE_KEYS, page_keys, purge_keys
from slipstream.freshness.protocol.tags import Tag


def tags_of(tables: int) -> st.SearchStrategy[Tag]:
    endings = st.sampled_from(["", "*"]) | st.integers(0, 40).map(":{}".format) | st.integers(0, 9).map("{{c={}}}".format)
    return st.builds(lambda table, ending: Tag(f"public.t{table}{ending}"), st.integers(1, tables), endings)


# Few tables with many rows fold to tables, many tables to groups.
tags = tags_of(2) | tags_of(26)
tag_sets = st.frozensets(tags_of(2), min_size=1, max_size=40) | st.frozensets(tags, min_size=1, max_size=60)


@given(tag_sets, tag_sets, tags, st.integers(8, MOST_KEYS), st.integers(1, 40) | st.just(MOST_PURGE_KEYS))
def test_page_and_write_that_share_a_tag_share_a_key(
    page: frozenset[Tag], write: frozenset[Tag], tag: Tag, most: int, purged: int
) -> None:
    assert page_keys(page | {tag}, most) & purge_keys(write | {tag}, purged)


@given(tag_sets, st.integers(8, MOST_KEYS))
def test_page_has_about_a_dozen_short_keys(page: frozenset[Tag], most: int) -> None:
    keys = page_keys(page, most)
    assert 1 <= len(keys) <= most
    assert all(len(key) == 8 for key in keys)
    assert keys == page_keys(sorted(page), most)


@pytest.mark.parametrize(
    ("level", "keys", "page"),
    [
        ("exact", 4, [f"public.t{ending}" for ending in ("*", ":1", ":2", "{c=3}")]),
        ("wide because it reads the table", 1, ["public.t", "public.t*", "public.t:1"]),
        ("wide because it reads many rows", 1, ["public.t*", *(f"public.t:{number}" for number in range(12))]),
        ("groups", 8, [f"public.t{number}{ending}" for number in range(40) for ending in ("*", ":1")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_level_is_purged_by_each_of_its_tags(level: str, keys: int, page: list[Tag]) -> None:
    carried = page_keys(page)
    assert len(carried) == keys
    for tag in page:
        assert carried & purge_keys([tag])
        assert carried & purge_keys([tag], most=1)


def test_a_page_that_needs_no_folding_is_purged_by_its_own_rows_only() -> None:
    page = page_keys(
        [Tag("public.article*"), Tag("public.article:5"), Tag("public.comment*"), Tag("public.comment{article_id=5}")]
    )
    assert len(page) == 4
    assert not page & purge_keys([Tag("public.article"), Tag("public.article:6"), Tag("public.article{section_id=1}")])
    assert page & purge_keys([Tag("public.article"), Tag("public.article:5")])
    assert page & purge_keys([Tag("public.comment*")])


def test_folding_takes_the_table_with_most_keys_and_spares_the_others() -> None:
    rows = [Tag(f"public.author:{number}") for number in range(50)]
    page = page_keys([Tag("public.author*"), *rows, Tag("public.article*"), Tag("public.article:5")])
    assert len(page) == 3
    assert page & purge_keys([Tag("public.author"), Tag("public.author:99")])  # too much, but the author table only
    assert not page & purge_keys([Tag("public.article"), Tag("public.article:6")])


def test_a_mass_change_purges_whole_tables_in_few_keys() -> None:
    write = [Tag("public.article"), *(Tag(f"public.article:{number}") for number in range(1000))]
    assert len(purge_keys(write)) == 3


def test_fewer_keys_than_groups_are_refused_with_one_sentence() -> None:
    with pytest.raises(ValueError, match="at most 7 were allowed"):
        page_keys([Tag("public.a")], most=7)
