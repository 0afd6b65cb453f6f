"""What is read off a statement's text, Django's or anybody's."""

from __future__ import annotations

import pytest

from slipstream.freshness.sql.statement import read_statement


@pytest.mark.parametrize(
    ("sql", "relations"),
    [
        ('SELECT "a"."id" FROM "a" WHERE "a"."x" = %s', ["a"]),
        ('SELECT 1 FROM "a" INNER JOIN "b" ON ("a"."x" = "b"."y") LEFT OUTER JOIN "b" T3 ON (1 = 1)', ["a", "b", "b"]),
        ("select * from A, b AS x, only c where x in (select y from d)", ["a", "b", "c", "d"]),
        ("SELECT * FROM (a JOIN b ON true), c", ["a", "b", "c"]),
        ("SELECT * FROM (SELECT x, y FROM a) z, LATERAL (SELECT 1 FROM b) q", ["a", "b"]),
        ('SELECT EXTRACT(YEAR FROM "a"."day"), TRIM(BOTH \'x\' FROM a.b) FROM a WHERE a.x IS DISTINCT FROM a.y', ["a"]),
        (
            "SELECT COUNT(*) FILTER (WHERE x > 1) OVER (PARTITION BY y) FROM a -- from b\n /* from c */ WHERE t = ' from d '",
            ["a"],
        ),
        ("(SELECT 1 FROM a) UNION ALL (SELECT 2 FROM b) ORDER BY 1 LIMIT 3", ["a", "b"]),
        ("WITH q AS (SELECT * FROM a) SELECT * FROM q", ["a", "q"]),
        ("SELECT 1 FROM a NATURAL JOIN b CROSS JOIN c", ["a", "b", "c"]),
        ("SELECT x::text, ARRAY[1,2] FROM a WHERE x = ANY(%s) AND y @> '{}'::jsonb", ["a"]),
    ],
)
def test_relations_of_a_read(sql: str, relations: list[str]) -> None:
    statement = read_statement(sql)
    assert [name for _, name in statement.relations] == relations
    assert statement.is_read and not statement.may_write


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO a VALUES (1)",
        "UPDATE a SET x = 1",
        "WITH d AS (DELETE FROM a RETURNING *) SELECT * FROM d",
        "SELECT my_function(1)",
        "SELECT nextval('x')",
        "SELECT * FROM my_function(1)",
        "SELECT app.lower('x')",
        "SELECT * INTO b FROM a",
        "SELECT 1; DELETE FROM a",
        "SELECT $$x$$",
        "SELECT U&'x' FROM a",
        "SELECT /* /* */ DELETE */ 1",
        "EXPLAIN ANALYZE DELETE FROM a",
        "CALL p()",
        "COPY a FROM STDIN",
        "SELECT (1",
        "TABLE a",
        "",
    ],
)
def test_what_may_write(sql: str) -> None:
    assert read_statement(sql).may_write


def test_locks_clocks_and_session() -> None:
    assert read_statement("SELECT 1 FROM a FOR NO KEY UPDATE").locks_rows
    assert read_statement("SELECT 1 FROM a FOR UPDATE OF a").is_read
    assert read_statement("SELECT 1 FROM a WHERE x < now()").reads_clock
    assert read_statement("SELECT 1 FROM a WHERE x < CURRENT_DATE").reads_clock
    assert read_statement("SET search_path TO x").changes_session
    assert read_statement("SELECT set_config('search_path', 'x', false)").changes_session
    assert read_statement("CREATE TEMP TABLE x (y int)").changes_session
    assert not read_statement("SET LOCAL statement_timeout = 5").may_write
    assert not read_statement("SET CONSTRAINTS ALL IMMEDIATE").may_write
    assert read_statement("CREATE INDEX CONCURRENTLY i ON a (b)").refuses_transactions
