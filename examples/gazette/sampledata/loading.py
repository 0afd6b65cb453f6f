"""Rows into tables, fast: PostgreSQL's COPY where there is PostgreSQL, large inserts elsewhere."""

from contextlib import contextmanager
from itertools import islice

from django.core.management.color import no_style
from django.db import connection

BATCH_SIZE = 2_000

# The one index that costs more to keep up than to build anew, for it has an entry for every word of every article.
SEARCH_INDEX = "article_search"


def load_rows(model, field_names, rows, advance=lambda count: None):
    """Write tuples, in the order of the fields' names, into a model's table; `advance` hears of rows as they go."""
    fields = [model._meta.get_field(name) for name in field_names]
    if connection.vendor == "postgresql":
        _copy_rows(model, fields, rows, advance)
        return
    names = [field.attname for field in fields]
    rows = iter(rows)
    while batch := [model(**dict(zip(names, row, strict=True))) for row in islice(rows, BATCH_SIZE)]:
        model._default_manager.bulk_create(batch, batch_size=BATCH_SIZE)
        advance(len(batch))


def _copy_rows(model, fields, rows, advance):
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    rows = iter(rows)
    with connection.cursor() as cursor, cursor.copy(f"COPY {quote(model._meta.db_table)} ({columns}) FROM STDIN") as copy:
        while batch := list(islice(rows, BATCH_SIZE)):
            for row in batch:
                copy.write_row(row)
            advance(len(batch))


def move_sequences_past(models):
    """Let the next row that is written without a primary key get one behind those that were given."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), models):
            cursor.execute(statement)


@contextmanager
def search_index_rebuilt(report):
    """Drop the full-text index for the time of the load and build it at the end; `report` opens the stage of building."""
    if connection.vendor != "postgresql":
        yield
        return
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE schemaname = current_schema AND indexname = %s", [SEARCH_INDEX])
        row = cursor.fetchone()
        if row:
            cursor.execute(f"DROP INDEX {SEARCH_INDEX}")
        yield
        # Rows whose foreign keys are still to be checked keep a table from getting an index.
        cursor.execute("SET CONSTRAINTS ALL IMMEDIATE")
        if row:
            with report("search index"):
                cursor.execute(row[0])


def refresh_statistics(models):
    """Tell PostgreSQL's planner what is in the tables now; its own daemon would come minutes later."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in models:
                cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")


def empty_tables(models):
    """Delete every row of the models' tables, which are given children first."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            tables = ", ".join(connection.ops.quote_name(model._meta.db_table) for model in models)
            cursor.execute(f"TRUNCATE {tables} RESTART IDENTITY")
            return
        for model in models:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")
