"""A bare `django-admin startproject`, unedited, in an environment with Django alone."""

from __future__ import annotations

import sqlite3

import psutil
from sites import Site, digest_of


def test_a_bare_project_runs_on_the_whole_stack_unedited(bare: Site) -> None:
    before = digest_of(bare.folder)
    up = bare.slipstream("up", "--detach")
    assert "keeps its SQLite database" in up.stderr
    status = bare.status()
    services = {row["service"]: row for row in status["services"]}
    assert {"edge", "accelerator", "app-1", "app-2", "cache", "mail"} <= set(services)
    assert "database" not in services and "broker" not in services, "SQLite is kept and there is nothing for workers to do"
    assert {row["state"] for row in services.values()} == {"healthy"}
    with bare.visitor() as visitor:
        login = visitor.get("/admin/login/")
        assert login.status_code == 200
        assert "csrfmiddlewaretoken" in login.text
        assert login.headers["x-request-id"]
        assert login.http_version == "HTTP/1.1"
        style = visitor.get("/static/admin/css/base.css")
        assert style.status_code == 200 and style.headers["content-type"].startswith("text/css")
        assert visitor.get("/nowhere/").status_code == 404
        plain = visitor.get(status["addresses"]["http"] + "nowhere/?a=1", follow_redirects=False)
        assert plain.status_code in (301, 308)
        assert plain.headers["location"] == status["addresses"]["site"] + "nowhere/?a=1"
    after = digest_of(bare.folder)
    assert {name: after[name] for name in before} == before, "a file of the project was changed"
    assert set(after) - set(before) <= {"db.sqlite3", "db.sqlite3-wal", "db.sqlite3-shm"}

    bare.slipstream(
        "manage", "shell", "-c", "from django.contrib.auth.models import User; User.objects.create_superuser('ann', password='x')"
    )
    pids = [row["pid"] for row in services.values()]
    bare.slipstream("down")
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert bare.slipstream("status", check=False).returncode == 1

    bare.slipstream("up", "--detach")
    with sqlite3.connect(f"file:{bare.folder / 'db.sqlite3'}?mode=ro", uri=True) as database:
        assert database.execute("select username from auth_user").fetchall() == [("ann",)], "down never deletes data"


def test_an_old_sqlite_database_is_kept_and_not_migrated_unasked(bare: Site) -> None:
    with sqlite3.connect(bare.folder / "db.sqlite3") as database:
        database.execute("create table mine (x)")
    bare.slipstream("up", "--detach")
    with sqlite3.connect(bare.folder / "db.sqlite3") as database:
        tables = {row[0] for row in database.execute("select name from sqlite_master where type = 'table'")}
    assert tables == {"mine"}
    bare.slipstream("manage", "migrate")
    with sqlite3.connect(bare.folder / "db.sqlite3") as database:
        assert database.execute("select count(*) from django_migrations").fetchone()[0] > 10


def test_the_database_is_copied_when_asked_and_the_original_stays(bare: Site) -> None:
    bare.slipstream("up", "--detach")
    bare.slipstream(
        "manage", "shell", "-c", "from django.contrib.auth.models import User; User.objects.create_user('bob', 'b@example.org')"
    )
    bare.slipstream("down")
    before = digest_of(bare.folder)["db.sqlite3"]

    (bare.folder / "slipstream.toml").write_text('[database]\nserver = "postgresql"\n')
    assert "slipstream up --copy-database" in bare.complaint("up", "--detach"), "never an empty site"

    up = bare.slipstream("up", "--detach", "--copy-database")
    assert "Copying" in up.stderr
    query = (
        "from django.db import connection; from django.contrib.auth.models import User; "
        "print(connection.vendor, User.objects.get().username)"
    )
    assert bare.slipstream("manage", "shell", "--no-imports", "-c", query).stdout.strip().endswith("postgresql bob")
    bare.slipstream("down")
    assert digest_of(bare.folder)["db.sqlite3"] == before
    (bare.folder / "slipstream.toml").unlink()
    bare.slipstream("up", "--detach")
    assert bare.slipstream("manage", "shell", "--no-imports", "-c", query).stdout.strip().endswith("postgresql bob"), (
        "it stays with the copy"
    )
    assert "was done before" in bare_copy_again(bare)


def bare_copy_again(bare: Site) -> str:
    bare.slipstream("down")
    return bare.complaint("up", "--detach", "--copy-database")
