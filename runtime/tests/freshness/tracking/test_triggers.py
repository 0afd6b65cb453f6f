"""Triggers are installed by one command, listed, checked, removed, and kept up by migrations."""

from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from slipstream.freshness.outbox.installation import install


def run(action: str, **options: Any) -> str:
    out = io.StringIO()
    call_command("slipstream_triggers", action, stdout=out, **options)
    return out.getvalue()


def test_migrating_installed_every_table(site: Any) -> None:
    listed = run("list")
    assert "tracked    public.newsstand_article  key: id; conditions: section_id, author_id, is_public, day\n" in listed
    assert "tracked    public.measurement  key: none; conditions: none\n" in listed
    assert "untracked  public.newsstand_private  (without triggers" in listed
    assert "every table is tracked" in run("check")
    assert "0 changed" in run("install")
    assert "0 changed" in run("install", database="archive")


def test_changed_tables_get_their_triggers_anew(site: Any, project: Any) -> None:
    with project.postgres.connect() as outside:
        outside.execute(
            "CREATE TABLE other (id uuid PRIMARY KEY, code char(3), name text UNIQUE, parent int, amount numeric UNIQUE)"
        )
        outside.execute("CREATE VIEW seen AS SELECT * FROM other; CREATE TABLE parted (id int) PARTITION BY RANGE (id)")
    try:
        with pytest.raises(CommandError, match="3 tables or views are not tracked"):
            run("check")
        assert "changed  public.other\n1 changed" in run("install")
        assert "public.other  key: id; conditions: name\n" in run("list")
        with project.postgres.connect() as outside:
            outside.execute("INSERT INTO other VALUES (gen_random_uuid(), 'a', 'b', 1, 2)")
            outside.execute("ALTER TABLE other RENAME COLUMN name TO title; CREATE INDEX ON other (parent)")
            outside.execute(
                "INSERT INTO other VALUES (gen_random_uuid(), 'a', 'c', 1, 3)"
            )  # the trigger folds, and does not fail
            images = outside.execute("SELECT images FROM slipstream.outbox WHERE relation_name = 'other' ORDER BY xid").fetchall()
        assert [image is None for (image,) in images[-2:]] == [False, True]
        assert "changed  public.other" in run("install")
        assert "public.other  key: id; conditions: title, parent\n" in run("list")
        with project.postgres.connect() as outside:
            outside.execute("DROP TRIGGER slipstream_update ON other")
        assert "incomplete or disabled" in run("list")
        assert install(connection).changed == ("public.other",)
    finally:
        with project.postgres.connect() as outside:
            outside.execute("DROP TABLE other CASCADE; DROP TABLE parted")


def test_a_busy_table_is_told_and_not_waited_for(site: Any, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.freshness.outbox.installation.LOCK_SECONDS", 1)
    with project.postgres.connect() as outside, outside.transaction():
        outside.execute("CREATE TABLE busy (id int PRIMARY KEY)")
    try:
        with project.postgres.connect() as outside, outside.transaction():
            outside.execute("LOCK TABLE busy IN ROW EXCLUSIVE MODE")
            with pytest.raises(CommandError, match=r"public\.busy: canceling statement due to lock timeout"):
                run("install")
        assert install(connection).changed == ("public.busy",)
    finally:
        with project.postgres.connect() as outside:
            outside.execute("DROP TABLE busy")


def test_removing_leaves_writes_working(site: Any) -> None:
    try:
        assert "removed the triggers of" in run("remove", database="archive")
        site.Author.objects.using("archive").create(name="x")
        assert "without triggers" in run("list", database="archive")
    finally:
        site.Author.objects.using("archive").all().delete()
        run("install", database="archive")
    assert "every table is tracked" in run("check", database="archive")


def test_bad_input_is_one_sentence(site: Any) -> None:
    with pytest.raises(CommandError, match="There is no database 'nowhere'; there are default, archive, local"):
        run("install", database="nowhere")
    with pytest.raises(CommandError, match="Database 'local' is SQLite; triggers are installed on PostgreSQL"):
        run("install", database="local")
