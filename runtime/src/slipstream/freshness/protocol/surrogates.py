"""Turns tags into the few short keys that an accelerator indexes a page by, and a write's tags into the keys that it purges.

Neither side knows the other, so the folding is fixed: for every table that a page read, the page carries exactly one *cover*
out of `t*` (it also carries exact keys of that table), `t` (wide: purged by any write to the table) or the table's group (one
of 8; wider still); and a purge names, besides its exact keys (`t*` among them when the write was folded), always `t` and the
group of each table. Hence whenever page and write share a tag they share a key.

Hashing rows into buckets between "exact" and "wide" was tried and left out: a dozen keys cover fifty rows only with buckets so
large that nearly every write hits one.
"""

import base64
import hashlib
from collections import defaultdict
from collections.abc import Collection

from slipstream.freshness.protocol.tags import Tag, table_of

MOST_KEYS = 12  # an object with 30 keys costs Varnish's xkey 4.2 KB, with 12 about 2.5 KB
MOST_PURGE_KEYS = 500  # a header of 900 short keys still fits Varnish's default limits, 1,000 answer 503
_GROUPS = 8  # tables, folded when a page read more than a dozen of them


def page_keys(tags: Collection[Tag], most: int = MOST_KEYS) -> frozenset[str]:
    """At most `most` (8 or more) keys of 8 characters for a page built from `tags`.

    Folds only as far as needed: first the table with most keys becomes wide, then the next; then, should there be more tables
    than keys, all tables go to their groups.
    """
    if most < _GROUPS:
        raise ValueError(
            f"Folding surrogate keys: at most {most} were allowed, but pages of many tables need {_GROUPS}; allow more."
        )
    keys: dict[Tag, set[str]] = defaultdict(set)
    for tag in tags:
        keys[table_of(tag)].update((_digest(tag), _digest(table_of(tag) + "*")))
    for table in keys:
        if table in tags:
            keys[table] = {_digest(table)}

    while sum(len(one) for one in keys.values()) > most:
        table = max(keys, key=lambda name: (len(keys[name]), name))
        if len(keys[table]) == 1:
            return frozenset(_group(name) for name in keys)
        keys[table] = {_digest(table)}
    return frozenset().union(*keys.values())


def purge_keys(tags: Collection[Tag], most: int = MOST_PURGE_KEYS) -> frozenset[str]:
    """The keys that a write emitting `tags` must purge. Beyond `most`, each table is purged whole, which is never too little."""
    tables = {table_of(tag) for tag in tags}
    keys = {_digest(name) for name in (*tags, *tables)} | {_group(table) for table in tables}
    if len(keys) > most:
        keys = {key for table in tables for key in (_digest(table), _digest(table + "*"), _group(table))}
    return frozenset(keys)


def _group(table: Tag) -> str:
    return _digest(f"group {hashlib.blake2b(table.encode()).digest()[0] % _GROUPS}")


def _digest(name: str) -> str:
    """48 bits in 8 characters: of 500 sites with a million tags, one has a collision; it only purges more."""
    return base64.urlsafe_b64encode(hashlib.blake2b(name.encode(), digest_size=6).digest()).decode()
