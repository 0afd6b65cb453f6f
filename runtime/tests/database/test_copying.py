"""The data of a real SQLite project arrives whole in a real PostgreSQL, or not at all, and the original stays as it was."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from slipstream.database.original import open_original


def copy(site: Any, *arguments: str, settings: str = "stack_settings") -> tuple[subprocess.CompletedProcess[str], dict[str, Any]]:
    answer = site.folder / "answer.json"
    answer.unlink(missing_ok=True)
    source = arguments or ("--from", f"sqlite:{site.original}", "--to", "default")
    done = site.run("-m", "slipstream.database.copying", *source, settings=settings, SLIPSTREAM_ANSWER=str(answer))
    return done, json.loads(answer.read_text())


def dump(site: Any, settings: str) -> list[dict[str, Any]]:
    """Every row that Django sees, without order."""
    done = site.run("manage.py", "dumpdata", "--all", settings=settings)
    assert done.returncode == 0, done.stderr
    return sorted(json.loads(done.stdout), key=lambda row: (row["model"], str(row["pk"])))


def change(site: Any, *statements: str) -> None:
    with sqlite3.connect(site.original) as connection:
        for sql in statements:
            connection.execute(sql)
    connection.close()


def test_everything_arrives_and_the_original_stays_as_it_was(site: Any) -> None:
    before = hashlib.sha256(site.original.read_bytes()).hexdigest()
    expected = dump(site, "settings")

    done, answer = copy(site)
    assert done.returncode == 0, done.stderr

    assert dump(site, "stack_settings") == expected
    assert hashlib.sha256(site.original.read_bytes()).hexdigest() == before == answer["original_sha256"]
    assert answer["copied"] and not answer["original_has_changed"]
    assert answer["left_behind"] == [{"table": "counters", "rows": 1}]
    # Auto-created tables between many-to-many models are not in a dump; they count as rows too.
    assert answer["rows"] > len([row for row in expected if row["model"] != "migrations"])
    assert "library_article: 5,000 rows" in done.stdout
    assert "not copied: table counters with 1 rows" in done.stdout


def test_what_a_dump_does_not_show(site: Any) -> None:
    copy(site)
    assert site.query("SELECT count(*) FROM library_author WHERE extra IS NULL") == [(0,)]
    assert site.query("SELECT extra FROM library_author WHERE name = ''") == [(None,)]  # a JSON null, read by the driver
    assert site.query("SELECT loud_title FROM library_article WHERE title LIKE 'tab%'") == [("TAB\tAND \\N AND \\. AND ß",)]
    (row,) = site.query("SELECT extract(year FROM changed), extract(year FROM created) FROM library_author WHERE name <> ''")
    assert [int(year) for year in row] == [2001, 1999]


def test_the_site_goes_on_with_the_next_keys(site: Any) -> None:
    copy(site)
    (highest,) = site.query("SELECT max(id) FROM library_article")[0]
    program = (
        "import django; django.setup()\n"
        "from library.models import *; from django.contrib.auth.models import User\n"
        "article = Article.objects.create(author=Author.objects.first(), title='new', body='')\n"
        "article.related.add(Article.objects.first()); print(article.pk, User.objects.get().check_password('pass word'))"
    )
    done = site.run("-c", program)
    assert done.stdout.split() == [str(highest + 1), "True"], done.stderr


def test_asked_again_it_changes_nothing(site: Any) -> None:
    _, first = copy(site)
    site.query("DELETE FROM library_tagging RETURNING id")
    change(site, "DELETE FROM django_session")

    done, second = copy(site)
    assert done.returncode == 0
    assert (second["copied"], second["rows"], second["original_has_changed"]) == (False, first["rows"], True)
    assert "had been copied before" in done.stdout
    assert site.query("SELECT count(*) FROM library_tagging") == [(0,)]


ARTICLE = "(SELECT min(id) FROM library_article)"
TROUBLES = {
    "NUL byte": (
        f"UPDATE library_article SET body = 'a' || char(0) || 'b' WHERE id = {ARTICLE}",
        'table library_article, row 1, column "body": the text contains a NUL byte, at position 1',
    ),
    "text too long": (
        f"UPDATE library_article SET title = '{'x' * 41}' WHERE id = {ARTICLE}",
        'table library_article, row 1, column "title": the text is 41 characters long, 40 fit',
    ),
    "not a number": (
        f"UPDATE library_article SET \"Number In Print\" = 'many' WHERE id = {ARTICLE}",
        "table library_article, row 1, column \"Number In Print\": 'many' cannot be read",
    ),
    "number too large": (
        f'UPDATE library_article SET "Number In Print" = 3000000000 WHERE id = {ARTICLE}',
        'table library_article, row 1, column "Number In Print"',
    ),
    "decimal too large": ("UPDATE library_author SET rating = 123456789 WHERE name = ''", 'column "rating"'),
    "no date": ("UPDATE library_author SET born = 'yesterday' WHERE name = ''", "'yesterday' cannot be read: not a date or time"),
    "impossible date": ("UPDATE library_author SET last_seen = '2024-02-30 10:00:00' WHERE name = ''", 'column "last_seen"'),
    "JSON with NUL": ("UPDATE library_author SET extra = '{\"a\": \"\\u0000\"}' WHERE name = ''", 'column "extra"'),
    "no address": ("UPDATE library_author SET address = 'nowhere' WHERE name = ''", 'column "address"'),
    "dangling reference": (
        f"UPDATE library_article SET author_id = 'b5cbb44ee0c14bd8a1f8e23ad5c6fdc2' WHERE id = {ARTICLE}",
        "table library_article, row 1, column \"author_id\" = 'b5cbb44ee0c14bd8a1f8e23ad5c6fdc2': there is no such row in table",
    ),
}


@pytest.mark.parametrize("sql, told", TROUBLES.values(), ids=TROUBLES.keys())
def test_what_does_not_fit_is_named_and_nothing_is_copied(site: Any, sql: str, told: str) -> None:
    change(site, sql)
    done, answer = copy(site)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert told in "\n".join(answer["details"]), answer
    assert answer["message"] in done.stderr
    assert site.query("SELECT count(*) FROM library_author") == [(0,)]
    assert site.query("SELECT name FROM auth_group") == [("editors",)]  # as the migrations made it


def test_several_troubles_are_told_at_once_and_a_second_attempt_succeeds(site: Any) -> None:
    change(site, f"UPDATE library_article SET title = '{'x' * 50}' WHERE id IN (1, 4, 5)")
    _, answer = copy(site)
    assert [detail.partition(",")[2][:6] for detail in answer["details"]] == [" row 1", " row 4", " row 5"]
    change(site, "UPDATE library_article SET title = '' WHERE id IN (1, 4, 5)")
    done, answer = copy(site)
    assert done.returncode == 0, done.stderr
    assert answer["copied"]


def test_rows_that_came_another_way_are_never_replaced(site: Any) -> None:
    assert site.run("manage.py", "migrate", "-v0").returncode == 0
    site.run("-c", "import django; django.setup(); from library.models import *; Tag.objects.create(slug='mine')")
    done, answer = copy(site)
    assert done.returncode == 1
    assert "already holds rows" in answer["message"] and "table library_tag" in answer["details"]
    assert site.query("SELECT slug FROM library_tag") == [("mine",)]


def test_rows_written_after_a_failed_attempt_are_never_replaced(site: Any) -> None:
    change(site, "UPDATE library_author SET born = 'yesterday'")
    copy(site)
    site.run("-c", "import django; django.setup(); from library.models import *; Tag.objects.create(slug='mine')")
    change(site, "UPDATE library_author SET born = NULL")
    _, answer = copy(site)
    assert answer["details"] == ["table library_tag"]
    assert site.query("SELECT slug FROM library_tag") == [("mine",)]


def test_an_original_behind_its_migrations_is_refused(site: Any) -> None:
    change(site, "DELETE FROM django_migrations WHERE app = 'library' AND name = '0002_editors'")
    _, answer = copy(site)
    assert "lacks 1 migrations" in answer["message"] and answer["details"] == ["library.0002_editors"]


def test_what_is_no_database_is_refused(site: Any) -> None:
    for source, told in (
        (f"sqlite:{site.folder}/none.sqlite3", "there is no file"),
        (f"sqlite:{site.folder}/settings.py", "cannot be read as an SQLite database"),
        ("postgresql://localhost/x", "is not understood"),
    ):
        done, answer = copy(site, "--from", source)
        assert done.returncode == 1
        assert told in answer["message"]
    assert not (site.folder / "none.sqlite3").exists()


def test_a_target_that_is_not_postgresql_is_refused(site: Any) -> None:
    before = site.original.read_bytes()
    _, answer = copy(site, settings="settings")
    assert "is SQLite, not PostgreSQL" in answer["message"]
    assert site.original.read_bytes() == before


def test_what_is_still_in_the_write_ahead_log_is_copied_too(site: Any) -> None:
    writer = sqlite3.connect(site.original)
    try:
        writer.execute("PRAGMA journal_mode = WAL")
        writer.execute("INSERT INTO library_tag VALUES ('fresh')")
        writer.commit()
        done, answer = copy(site, "--from", "sqlite:db.sqlite3")  # beside manage.py, where the program runs
        assert done.returncode == 0, done.stderr
        assert answer["copied"]
        assert ("fresh",) in site.query("SELECT slug FROM library_tag")
    finally:
        writer.close()


def test_a_file_in_wal_mode_can_be_read_by_a_user_who_may_not_write_beside_it(site: Any) -> None:
    connection = sqlite3.connect(site.original)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as name:
        path = Path(name) / "db.sqlite3"
        path.write_bytes(site.original.read_bytes())
        path.chmod(0o444)
        Path(name).chmod(0o555)
        child = os.fork()
        if child == 0:
            try:
                if os.geteuid() == 0:
                    os.setresuid(65534, 65534, 65534)
                with open_original(path) as original:
                    os._exit(0 if original.count("library_tag") == 2 else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert [found.name for found in Path(name).iterdir()] == ["db.sqlite3"]
        Path(name).chmod(0o755)
