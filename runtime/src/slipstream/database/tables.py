"""One table of the copy: which columns it has, how SQLite's values become the target's, and their way there."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from django.apps import apps
from django.db import connections, models, router
from django.db.models.fields.json import JSONField

from slipstream.database.original import Original, quote_name
from slipstream.database.trouble import MOST_SHOWN, Trouble

Convert = Callable[[Any], Any]

_PLACE = re.compile(r"^COPY .+?, line (\d+)(?:, column (.+?))?(?:: |$)", re.MULTILINE)
"""In the CONTEXT of the server's error: ``COPY mysite_article, line 3, column title: "..."``, after other lines."""

_TIMES = (models.DateField, models.DateTimeField, models.TimeField)


@dataclass(frozen=True)
class Column:
    name: str
    convert: Convert  # SQLite's value -> what the target's driver is given
    longest: int | None  # characters that the target's column holds


@dataclass(frozen=True)
class Table:
    """A table that a model describes and that exists on both sides."""

    name: str
    model: type[models.Model]
    columns: tuple[Column, ...]
    key: int | None  # position of the primary key among the columns

    def name_row(self, row: tuple[Any, ...]) -> str:
        return f"table {self.name}, row {row[self.key]!r}" if self.key is not None else f"table {self.name}, a row"


def tables_to_copy(original: Original, source: str, target: str) -> list[Table]:
    """Tables of all models (those between many-to-many models too) that belong on ``target`` and exist on both sides.

    ``source`` is the alias of a connection that knows how SQLite's values are meant; nothing is asked of it.
    """
    there = set(original.tables())
    with connections[target].cursor() as cursor:
        here = set(connections[target].introspection.table_names(cursor))
    chosen: dict[str, type[models.Model]] = {}
    for model in apps.get_models(include_auto_created=True):
        options = model._meta
        if options.proxy or options.swapped or options.db_table not in there & here:
            continue
        if not router.allow_migrate_model(target, model):
            continue
        # Several models may describe one table; the one that made it knows all of its columns.
        if options.db_table not in chosen or options.managed:
            chosen[options.db_table] = model
    return [_describe(original, model, source, target) for _, model in sorted(chosen.items())]


def _describe(original: Original, model: type[models.Model], source: str, target: str) -> Table:
    name = model._meta.db_table
    fields = [field for field in model._meta.local_concrete_fields if not getattr(field, "generated", False)]
    missing = {field.column.lower() for field in fields} - {column.lower() for column in original.columns(name)}
    if missing:
        raise Trouble(
            f"table {name} of the original has no column {', '.join(sorted(missing))}",
            "Bring the original up to date with `python manage.py migrate`, then copy again",
        )
    key = next((position for position, field in enumerate(fields) if field.primary_key), None)
    return Table(name, model, tuple(_column(field, source, target) for field in fields), key)


def _column(field: Any, source: str, target: str) -> Column:
    db_type = field.db_type(connections[target]) or ""
    length = re.fullmatch(r"(?:var)?char\((\d+)\)", db_type)
    return Column(field.column, _converter(field, source, target), int(length[1]) if length else None)


def _converter(field: Any, source: str, target: str) -> Convert:
    """The way Django itself reads the field from SQLite, then the way it writes it to the target; ``pre_save`` is left out, so
    that times of the last change stay what they are."""
    if type(field) is JSONField:
        return _keep  # JSON text is the same on both sides; read and written, a JSON null would become a missing value
    expression = field.get_col(field.model._meta.db_table)
    reading = [*connections[source].ops.get_db_converters(expression), *expression.get_db_converters(connections[source])]
    is_time = isinstance(expression.output_field, _TIMES)

    def convert(raw: Any) -> Any:
        value = raw
        for read in reading:
            value = read(value, expression, connections[source])
        if is_time and value is None and raw is not None:
            raise ValueError("not a date or time")
        return field.get_db_prep_save(value, connections[target])

    return convert


def _keep(raw: Any) -> Any:
    return raw


def copy_rows(original: Original, table: Table, target: str) -> Iterator[int]:
    """Put all rows into the (empty) table of ``target``, yielding the number copied so far after each batch.

    Raises ``Trouble`` naming the rows whose values do not fit, up to ``MOST_SHOWN`` of them.
    """
    troubles: list[str] = []
    copied = 0
    for batch in original.rows(table.name, [column.name for column in table.columns]):
        converted = [values for row in batch if (values := _convert_row(table, row, troubles)) is not None]
        if not troubles:
            _write(table, batch, converted, target)
        elif len(troubles) >= MOST_SHOWN:
            break
        copied += len(batch)
        yield copied
    if troubles:
        raise _does_not_fit(troubles[:MOST_SHOWN])


def _does_not_fit(details: list[str]) -> Trouble:
    return Trouble(
        "some values of the original do not fit the database's stricter types",
        "Correct them in the original, then copy again",
        details,
    )


def _convert_row(table: Table, row: tuple[Any, ...], troubles: list[str]) -> list[Any] | None:
    values = []
    for column, raw in zip(table.columns, row, strict=True):
        fault = _find_fault(column, raw)
        if fault is None:
            try:
                values.append(column.convert(raw))
            except Exception as error:  # any field of any project: whatever its conversion raises is about this value
                fault = f"{_shorten(raw)} cannot be read: {_first_line(error)}"
        if fault is not None:
            troubles.append(f'{table.name_row(row)}, column "{column.name}": {fault}')
            return None
    return values


def _find_fault(column: Column, raw: Any) -> str | None:
    if isinstance(raw, str):
        if "\0" in raw:
            return f"the text contains a NUL byte, at position {raw.index(chr(0))}"
        if column.longest is not None and len(raw) > column.longest:
            return f"the text is {len(raw)} characters long, {column.longest} fit"
    return None


def _write(table: Table, batch: list[tuple[Any, ...]], converted: list[list[Any]], target: str) -> None:
    import psycopg

    names = ", ".join(quote_name(column.name) for column in table.columns)
    position = 0
    try:
        with connections[target].cursor() as cursor, cursor.copy(f"COPY {quote_name(table.name)} ({names}) FROM STDIN") as copy:
            for position, values in enumerate(converted):  # noqa: B007 - where it was when it failed
                copy.write_row(values)
    except psycopg.Error as error:
        if place := _PLACE.search(error.diag.context or ""):
            where = table.name_row(batch[int(place[1]) - 1]) + (f', column "{place[2]}"' if place[2] else "")
        elif error.diag.sqlstate is None:  # the driver refused the value before the server saw it
            where = table.name_row(batch[position])
        else:
            where = f"table {table.name}"
        detail = f" ({error.diag.message_detail})" if error.diag.message_detail else ""
        raise _does_not_fit([f"{where}: {error.diag.message_primary or _first_line(error)}{detail}"]) from None


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _first_line(error: Exception) -> str:
    messages = getattr(error, "messages", None)  # of a ValidationError
    text = " ".join(map(str, messages)) if messages else str(error)
    return text.splitlines()[0] if text else type(error).__name__
