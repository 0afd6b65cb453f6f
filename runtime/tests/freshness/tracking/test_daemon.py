"""What the daemon notices: another server, another timeline, changed tables, procedures, stores that are not fit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection, connections

from slipstream.freshness import commits, configuration, keeper
from slipstream.freshness.daemon import find_unfitness


def epoch() -> str:
    return keeper.open_store().begin().epoch


def test_rounds_keep_the_epoch_and_a_lost_server_ends_the_round(site: Any, project: Any, make_round: Callable[[], None]) -> None:
    make_round()
    before = epoch()
    make_round()
    assert epoch() == before
    connections.close_all()
    project.postgres.stop()
    project.postgres.start()
    with pytest.raises(Exception, match=r"terminat|closed"):
        make_round()  # its connection died with the server; `run` closes it and goes on
    assert epoch() == before


def test_a_daemon_that_starts_again_keeps_the_epoch_of_the_same_server(site: Any, project: Any) -> None:
    from slipstream.freshness.daemon import Daemon, watch_databases

    seen = []
    for _ in range(3):
        daemon = Daemon(watch_databases())
        daemon.make_round()
        seen.append(epoch())
        for database in daemon.databases:
            database.connection.close()
    assert len(set(seen)) == 1
    connections.close_all()
    project.postgres.stop()
    project.postgres.start()
    daemon = Daemon(watch_databases())
    daemon.make_round()
    assert epoch() != seen[0]
    for database in daemon.databases:
        database.connection.close()


def test_changed_tables_begin_an_epoch(site: Any, project: Any, make_round: Callable[[], None]) -> None:
    make_round()
    before = epoch()
    with project.postgres.connect() as outside:
        outside.execute("ALTER TABLE newsstand_author ADD COLUMN age int DEFAULT 5")
    try:
        make_round()
        assert epoch() != before
    finally:
        before = epoch()
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE newsstand_author DROP COLUMN age")
        assert epoch() != before  # at COMMIT already, when Django did it


def test_a_procedure_that_commits_by_itself_is_stamped_before_it_returns(site: Any, project: Any) -> None:
    keeper.open_store().begin()
    with project.postgres.connect() as outside:
        outside.execute(
            "CREATE PROCEDURE add_authors() LANGUAGE plpgsql AS $$ BEGIN "
            "INSERT INTO newsstand_author (name) VALUES ('a'); COMMIT; INSERT INTO newsstand_author (name) VALUES ('b'); END $$"
        )
    try:
        before = keeper.open_store().begin().p
        with connection.cursor() as cursor:
            cursor.execute("CALL add_authors()")
        assert keeper.open_store().begin().p == before + 2
    finally:
        with project.postgres.connect() as outside:
            outside.execute("DROP PROCEDURE add_authors()")


def test_bounded_mode_writes_without_a_store(site: Any, project: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    bounded = configuration.FreshnessSettings(store="x", lost_store="bounded")
    monkeypatch.setattr(commits, "freshness_settings", lambda: bounded)
    project.store.kill()
    try:
        site.Author.objects.create(name="written")
    finally:
        project.store.start()
    assert site.Author.objects.count() == 1


def test_unfit_stores_are_told(site: Any, project: Any) -> None:
    client = project.store.client()
    assert find_unfitness(client) == ""
    for name, value, complaint in (
        ("maxmemory-policy", "allkeys-lru", "evicts with allkeys-lru"),
        ("save", "60 1", "keeps its data on disk"),
        ("appendonly", "yes", "keeps its data on disk"),
    ):
        before = client.config_get(name)[name]
        client.config_set(name, value)
        assert complaint in find_unfitness(client)
        client.config_set(name, before)
