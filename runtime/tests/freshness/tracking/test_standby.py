"""Old snapshots of other servers: a standby whose replay is paused, and one that delays when commits become visible."""

from __future__ import annotations

import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext
from newsstand_servers import PROGRAMS, wait_until

from slipstream.freshness import keeper
from slipstream.freshness.recorder import record

pytestmark = pytest.mark.usefixtures("daemon")


@pytest.fixture
def standby(site: Any, project: Any) -> Iterator[psycopg.Connection[Any]]:
    """A streaming standby behind the alias `standby`; a connection to it for its superuser."""
    server = project.postgres
    data = server.folder / "standby"
    process = None
    try:
        subprocess.run(
            [PROGRAMS[-1] / "pg_basebackup", "-h", server.folder, "-p", "5432", "-U", "owner", "-D", data, "-R", "-c", "fast"],
            check=True,
            capture_output=True,
            cwd="/",
            **server._as_user,
        )
        options = [
            "-c",
            "listen_addresses=",
            "-k",
            server.folder,
            "-p",
            "5433",
            "-c",
            "fsync=off",
            "-c",
            "max_prepared_transactions=4",
        ]
        with (server.folder / "standby.log").open("wb") as log:
            process = subprocess.Popen(
                [PROGRAMS[-1] / "postgres", "-D", data, *options], stdout=log, stderr=log, cwd="/", **server._as_user
            )
        found: list[psycopg.Connection[Any]] = []

        def answers() -> bool:
            try:
                found.append(
                    psycopg.connect(host=str(server.folder), port=5433, dbname="newsstand", user="owner", autocommit=True)
                )
            except psycopg.OperationalError:
                return False
            return True

        wait_until(answers, "the standby answers")
        connections.settings["standby"] = {**connections.settings["default"], "PORT": "5433"}
        yield found[0]
        found[0].close()
    finally:
        if "standby" in connections.settings:
            connections["standby"].close()
            del connections.settings["standby"]
        if process is not None:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        shutil.rmtree(data, ignore_errors=True)


def make_article(site: Any) -> None:
    site.Article.objects.create(section=site.Section.objects.create(slug="s", name="s"), title="old")


def test_what_a_standby_says_is_neither_kept_nor_shared(site: Any, standby: Any) -> None:
    make_article(site)

    def count() -> int:
        return int(standby.execute("SELECT count(*) FROM newsstand_article").fetchone()[0])

    wait_until(lambda: count() == 1, "the standby has replayed")
    standby.execute("SELECT pg_wal_replay_pause()")
    site.Article.objects.update(title="new")
    with record() as recorder:
        assert site.Article.objects.using("standby").get(pk=1).title == "old"
    assert "replica" in recorder.obstacles[0]
    assert site.Article.objects.get(pk=1).title == "new"
    assert site.Article.objects.using("standby").get(pk=1).title == "old"
    standby.execute("SELECT pg_wal_replay_resume()")
    wait_until(lambda: site.Article.objects.using("standby").get(pk=1).title == "new", "the standby has replayed")


def test_a_commit_whose_visibility_waits_keeps_its_pending(
    site: Any, standby: Any, project: Any, make_round: Callable[[], None]
) -> None:
    make_article(site)

    def read() -> str:
        return str(site.Article.objects.get(pk=1).title)

    def is_hit() -> bool:
        with CaptureQueriesContext(connections["default"]) as captured:
            read()
        return len(captured) == 0

    wait_until(is_hit, "the row is in the cache")
    with project.postgres.connect() as primary:
        primary.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        primary.execute("SELECT pg_reload_conf()")
        wait_until(
            lambda: primary.execute("SELECT sync_state FROM pg_stat_replication").fetchone() == ("sync",),
            "the standby is synchronous",
        )
        try:
            standby.execute("SELECT pg_wal_replay_pause()")

            def write() -> None:
                try:
                    with connections["default"].cursor() as cursor:
                        cursor.execute("SET synchronous_commit = remote_apply")
                    site.Article.objects.update(title="new")
                finally:
                    connections.close_all()

            writer = threading.Thread(target=write)
            writer.start()
            wait_until(
                lambda: primary.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchone() == (1,),
                "COMMIT waits for the standby",
            )
            for _ in range(20):
                make_round()
                assert not is_hit()  # neither reaped nor filled: what is read now is about to be old
            assert len(keeper.open_store().pending_transactions()) == 1
            assert read() == "old" and writer.is_alive()
            standby.execute("SELECT pg_wal_replay_resume()")
            writer.join(20)
            assert read() == "new"
            wait_until(is_hit, "it is in the cache again")
            assert read() == "new"
        finally:
            standby.execute("SELECT pg_wal_replay_resume()")
            primary.execute("ALTER SYSTEM RESET synchronous_standby_names")
            primary.execute("SELECT pg_reload_conf()")
