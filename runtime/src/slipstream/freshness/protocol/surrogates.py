"""Turns tags into the few short keys that an accelerator indexes a page by, and a write's tags into the keys that it purges.

Neither side knows the other, so the folding is fixed: for every table that a page read, the page carries exactly one *cover*
out of `t*` (it also carries exact keys of that table), `t` (wide: purged by any write to the table) or the table's group (one
of 8; wider still); and a purge names, besides its exact keys and their shards, always `t` and the group of each table, and `t*`
when the write was folded. Hence whenever page and write share a tag they share a key; a test proves it for arbitrary pairs.
"""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Collection, Iterable

from slipstream.freshness.protocol.tags import Tag, table_of

MOST_KEYS = 12  # an object with 30 keys costs Varnish's xkey 4.2 KB, with 12 about 2.5 KB
MOST_PURGE_KEYS = 500  # a header of 900 short keys still fits Varnish's default limits, 1,000 answer 503
_SHARDS = 16  # rows and conditions of one table, folded the first time
_GROUPS = 8  # tables, folded when a page read more than a dozen of them


def page_keys(tags: Collection[Tag], most: int = MOST_KEYS) -> frozenset[str]:
    """At most `most` (8 or more) keys of 8 characters for a page built from `tags`.

    Folds only as far as needed: the table with most keys goes from exact to sixteenths to the table; then, should there be more
    tables than keys, tables go to their groups.
    """
    if most < _GROUPS:
        raise ValueError(
            f"Folding surrogate keys: at most {most} were allowed, but pages of many tables need {_GROUPS}; allow more."
        )
    exact: dict[Tag, set[str]] = defaultdict(set)
    wide: set[Tag] = set()
    for tag in tags:
        table = table_of(tag)
        if tag == table:
            wide.add(table)
        elif tag == table + "*":
            exact[table].update(())
        else:
            exact[table].add(tag)
    levels = {table: (_digests(names), _shards(table, names)) for table, names in exact.items() if table not in wide}
    keys = {table: level[0] | {_digest(table + "*")} for table, level in levels.items()} | {
        table: {_digest(table)} for table in wide
    }

    while _count(keys) > most:
        table = max(keys, key=lambda name: (len(keys[name]), name))
        if len(keys[table]) == 1:
            return frozenset(_group(name) for name in keys)
        sharded = levels[table][1] | {_digest(table + "*")}
        keys[table] = sharded if len(sharded) < len(keys[table]) else {_digest(table)}
    return frozenset().union(*keys.values())


def purge_keys(tags: Collection[Tag], most: int = MOST_PURGE_KEYS) -> frozenset[str]:
    """The keys that a write emitting `tags` must purge. Beyond `most`, each table is purged whole, which is never too little."""
    tables = {table_of(tag) for tag in tags}
    named = [tag for tag in tags if tag != table_of(tag)]
    keys = {_digest(table) for table in tables} | {_group(table) for table in tables} | _digests(named)
    for tag in named:
        if not tag.endswith("*"):
            keys |= _shards(table_of(tag), [tag])
    if len(keys) > most:
        keys = {key for table in tables for key in (_digest(table), _digest(table + "*"), _group(table))}
    return frozenset(keys)


def _count(keys: dict[Tag, set[str]]) -> int:
    return sum(len(one) for one in keys.values())


def _digests(names: Iterable[str]) -> set[str]:
    return {_digest(name) for name in names}


def _shards(table: Tag, tags: Iterable[str]) -> set[str]:
    return {_digest(f"{table}#{_number(tag) % _SHARDS}") for tag in tags}


def _group(table: Tag) -> str:
    return _digest(f"group#{_number(table) % _GROUPS}")


def _number(name: str) -> int:
    return hashlib.blake2b(name.encode(), digest_size=6, person=b"fold").digest()[0]


def _digest(name: str) -> str:
    """48 bits in 8 characters: of 500 sites with a million tags, one has a collision; it only purges more."""
    return base64.urlsafe_b64encode(hashlib.blake2b(name.encode(), digest_size=6, person=b"key").digest()).decode()
