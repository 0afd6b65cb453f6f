"""The newsstand: a Django project on a PostgreSQL and a Redis of the tests' own, in this process and in others."""

from __future__ import annotations

import contextlib
import importlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import django
from django.conf import settings
from newsstand_servers import HERE, RUNTIME, Postgres, Store

if not settings.configured:
    settings.configure(SECRET_KEY="test", USE_TZ=True, ALLOWED_HOSTS=["*"])
from django.apps import apps

if not apps.ready:
    django.setup()

from django.core.management import call_command
from django.db import connections
from django.test import override_settings


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    server = Postgres()
    try:
        server.start()
        with server.connect("postgres") as connection:
            for name in ("newsstand", "archive"):
                connection.execute(f"CREATE DATABASE {name}")
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def store() -> Iterator[Store]:
    server = Store()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def project(postgres: Postgres, store: Store) -> Iterator[SimpleNamespace]:
    """The project set up in this process, migrated, with its triggers."""
    from slipstream import conf
    from slipstream.freshness import activation, configuration, keeper

    os.environ |= {"NEWSSTAND_PG": str(postgres.folder), "NEWSSTAND_STORE": store.url}
    names = importlib.import_module("newsstand_settings")
    chosen = {name: value for name, value in vars(names).items() if name.isupper() and name != "INSTALLED_APPS"}
    with override_settings(**chosen):
        connections.__dict__.pop("settings", None)
        before, connections._settings = connections._settings, None
        for cached in (conf.runtime_settings, configuration.freshness_settings, keeper.open_client, keeper.open_store):
            cached.cache_clear()
        _forget_connections()
        apps.set_installed_apps(names.INSTALLED_APPS)
        activation.activate()
        try:
            with postgres.connect() as connection:
                connection.execute("CREATE TABLE measurement (sensor int, value int)")
            for alias in ("default", "archive", "local"):
                call_command("migrate", "contenttypes", database=alias, verbosity=0)
                call_command("migrate", run_syncdb=True, database=alias, verbosity=0)
            yield SimpleNamespace(models=importlib.import_module("newsstand.models"), postgres=postgres, store=store)
        finally:
            connections.close_all()
            _forget_connections()
            apps.unset_installed_apps()
            connections.__dict__.pop("settings", None)
            connections._settings = before
            for cached in (conf.runtime_settings, configuration.freshness_settings, keeper.open_client, keeper.open_store):
                cached.cache_clear()


def _forget_connections() -> None:
    for alias in connections:
        with contextlib.suppress(AttributeError):
            delattr(connections._connections, alias)


@pytest.fixture
def site(project: SimpleNamespace) -> Iterator[Any]:
    """The models of an empty newsstand; the store is flushed before."""
    from slipstream.freshness import keeper

    with project.postgres.connect() as connection:
        connection.execute(
            "TRUNCATE newsstand_section, newsstand_author, newsstand_tag, newsstand_article, newsstand_comment, newsstand_note, "
            "newsstand_private, measurement RESTART IDENTITY CASCADE; TRUNCATE slipstream.outbox"
        )
    project.store.client().flushall()
    keeper._rests_until = 0.0
    yield project.models
    for connection in connections.all():
        connection.close()


@pytest.fixture
def make_round(site: Any) -> Iterator[Callable[[], None]]:
    """One round of the daemon, which also gives it its lease, for a second."""
    from slipstream.freshness.daemon import Daemon, watch_databases

    daemon = Daemon(watch_databases())
    yield daemon.make_round
    for database in daemon.databases:
        database.connection.close()


@pytest.fixture
def daemon(make_round: Callable[[], None]) -> Iterator[None]:
    """The daemon, in a thread of its own."""
    from slipstream.freshness.daemon import Daemon, watch_databases

    running = Daemon(watch_databases())
    for database in running.databases:
        database.connection.inc_thread_sharing()
    thread = threading.Thread(target=running.run, daemon=True)
    make_round()
    thread.start()
    try:
        yield
    finally:
        running.is_over.set()
        thread.join(10)
        for database in running.databases:
            database.connection.close()


@pytest.fixture
def spawn(project: SimpleNamespace) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Start a program of this folder, or a module, in a process with the newsstand's settings."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=HERE,
            env={
                **os.environ,
                "PYTHONPATH": f"{HERE}{os.pathsep}{RUNTIME}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "DJANGO_SETTINGS_MODULE": "newsstand_settings",
                **environment,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


@pytest.fixture
def background_daemon(spawn: Callable[..., Any], project: SimpleNamespace, site: Any) -> Any:
    """The daemon as a process; ready once it has its lease."""
    process = spawn("-m", "slipstream.freshness.daemon")
    deadline = time.monotonic() + 20
    while not project.store.client().exists("newsstand:d"):
        assert process.poll() is None and time.monotonic() < deadline, "the daemon has no lease"
        time.sleep(0.02)
    return process
