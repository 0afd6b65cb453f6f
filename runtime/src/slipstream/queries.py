"""Answers repeated queries from the cache, never older than a commit that returned (promise Q of the freshness protocol).

Transparent for the models in ``SLIPSTREAM["FRESHNESS"]["CACHED_MODELS"]``; ``off()`` is a block without it,
``uncached(queryset)`` a queryset.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from hashlib import blake2b
from typing import Any, TypeVar

from django.apps import apps
from django.db.models.sql.constants import MULTI, SINGLE

from slipstream.freshness.catalog import catalog_of
from slipstream.freshness.configuration import freshness_settings
from slipstream.freshness.keeper import ask_store
from slipstream.freshness.orm.hooks import Fetch
from slipstream.freshness.orm.statements import CLOCK_SECONDS, has_present_time, refusal_of
from slipstream.freshness.protocol.stamps import Miss, Value
from slipstream.freshness.recorder import current_recorder, note_read, record
from slipstream.freshness.sql.statement import read_statement
from slipstream.freshness.standing import standing_of

Q = TypeVar("Q")
LARGEST_BYTES = 1_000_000  # an answer that takes longer to fetch from the store than most take to compute
_UNCACHED = "slipstream_uncached"
_is_off: ContextVar[bool] = ContextVar("slipstream_queries_off", default=False)


@contextmanager
def off() -> Iterator[None]:
    """Inside, queries go to the database, and nothing is kept."""
    token = _is_off.set(True)
    try:
        yield
    finally:
        _is_off.reset(token)


def uncached(queryset: Q) -> Q:
    """The queryset, and whatever is made of it, without the cache."""
    chosen = queryset.all()  # type: ignore[attr-defined]
    setattr(chosen.query, _UNCACHED, True)
    return chosen  # type: ignore[no-any-return]


def answer(compiler: Any, sql: str, params: Any, result_type: Any, fetch: Fetch) -> Any:
    """What `fetch` would return, from the cache where that is certain to be as new."""
    if _is_off.get() or result_type not in (MULTI, SINGLE) or not _is_chosen(compiler.query):
        return fetch()
    connection = compiler.connection
    connection.ensure_connection()
    if refusal_of(connection, standing_of(connection)):
        return fetch()
    statement = read_statement(sql)
    if not statement.is_read or statement.locks_rows or statement.reads_clock:
        return fetch()
    if (name := _name_answer(connection, sql, params, result_type)) is None:
        return fetch()
    found = ask_store(lambda store: store.look_up(name))
    if isinstance(found, Value):
        note_read(found.tags)
        recorder = current_recorder()
        if recorder is not None:
            recorder.narrow(found.audience)
            if params and has_present_time(params):
                recorder.cap(CLOCK_SECONDS)
        return pickle.loads(found.body)
    if found is None:
        return fetch()
    return _fetch_and_keep(name, found, fetch)


def _fetch_and_keep(name: str, miss: Miss, fetch: Fetch) -> Any:
    outer = current_recorder()
    with record(miss.epoch, bubbles=outer is not None) as recorder:
        rows = fetch()
    if outer is None:
        note_read(())
    if recorder.obstacles or not recorder.tags:
        return rows
    try:
        body = pickle.dumps(rows, pickle.HIGHEST_PROTOCOL)
    except Exception:  # whatever a driver made of a column that cannot be pickled
        return rows
    if len(body) <= LARGEST_BYTES:
        value = Value(body, frozenset(recorder.tags), recorder.audience, miss.p, miss.epoch)
        ask_store(lambda store: store.fill(name, value, freshness_settings().query_seconds))
    return rows


def _name_answer(connection: Any, sql: str, params: Any, result_type: Any) -> str | None:
    """A name of everything that the rows depend on. The language is not among it: the database does not know it."""
    catalog = catalog_of(connection.alias, None, connection)
    if catalog.is_replica or not catalog.reads_committed:
        return None  # it may lag behind, or its snapshot may be older than what it would be kept as
    try:
        parts = pickle.dumps((connection.alias, catalog.identity, connection.timezone_name, sql, params, result_type), 5)
    except Exception:  # a parameter that cannot be pickled has no name
        return None
    return "q:" + blake2b(parts, digest_size=20).hexdigest()


def _is_chosen(query: Any) -> bool:
    inner = getattr(query, "inner_query", None)
    if getattr(query, _UNCACHED, False) or getattr(inner, _UNCACHED, False):
        return False
    return query.model is not None and _is_cached_model(query.model)


@cache
def _is_cached_model(model: Any) -> bool:
    meta = model._meta.concrete_model._meta if model._meta.concrete_model else model._meta
    chosen = {one.lower() for one in freshness_settings().cached_models}
    labels = {"*", f"{meta.app_label.lower()}.*", meta.label_lower, model._meta.label_lower}
    return bool(chosen & labels)


def find_unknown_models() -> list[str]:
    """Entries of CACHED_MODELS that name no model."""
    labels = {model._meta.label_lower for model in apps.get_models(include_auto_created=True)}
    labels |= {f"{config.label.lower()}.*" for config in apps.get_app_configs()} | {"*"}
    return [one for one in freshness_settings().cached_models if one.lower() not in labels]
