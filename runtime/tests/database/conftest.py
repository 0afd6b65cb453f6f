"""A PostgreSQL of the tests' own, started once, and an SQLite project filled once; each test gets copies of both."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

PROJECT = Path(__file__).parent / "project"
RUNTIME = Path(__file__).parents[2] / "src"
PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))


@dataclass(frozen=True)
class Server:
    folder: Path
    port: int

    def connect(self, database: str = "postgres") -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.folder), port=self.port, dbname=database, user="owner", autocommit=True)


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """PostgreSQL on a free port; under the user nobody when the tests run as root, which it refuses to run as."""
    assert PROGRAMS, "PostgreSQL is not installed"
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    as_user: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    folder = Path(tempfile.mkdtemp(prefix="ss-", dir="/tmp"))
    process = None
    try:
        if user:
            os.chown(folder, user.pw_uid, user.pw_gid)
        folder.chmod(0o755)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        initdb = [
            PROGRAMS[-1] / "initdb",
            "-D",
            folder / "data",
            "-U",
            "owner",
            "-A",
            "trust",
            "--locale=C.UTF-8",
            "-E",
            "UTF8",
            "-N",
        ]
        subprocess.run(initdb, check=True, capture_output=True, cwd="/", **as_user)
        options = ["-c", "listen_addresses=", "-k", folder, "-p", str(port), "-c", "fsync=off"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                [PROGRAMS[-1] / "postgres", "-D", folder / "data", *options], stdout=log, stderr=log, cwd="/", **as_user
            )
        server = Server(folder, port)
        deadline = time.monotonic() + 30
        while True:
            try:
                with server.connect() as connection:
                    connection.execute("CREATE ROLE app LOGIN PASSWORD 'app-password'")
                break
            except psycopg.OperationalError:
                assert process.poll() is None and time.monotonic() < deadline, (folder / "log").read_text()
                time.sleep(0.05)
        yield server
    finally:
        if process:
            process.send_signal(signal.SIGINT)
            process.wait(20)
        shutil.rmtree(folder)


@dataclass(frozen=True)
class Site:
    """A copy of the project with its SQLite file, and an empty PostgreSQL database."""

    folder: Path
    server: Server
    database: str

    @property
    def original(self) -> Path:
        return self.folder / "db.sqlite3"

    def run(self, *arguments: str, settings: str = "stack_settings", **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": f"{self.folder}{os.pathsep}{RUNTIME}",
                "PYTHONDONTWRITEBYTECODE": "1",
                "DJANGO_SETTINGS_MODULE": settings,
                "TEST_DATABASE": self.database,
                "TEST_DATABASE_HOST": str(self.server.folder),
                "TEST_DATABASE_PORT": str(self.server.port),
                **environment,
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self.server.connect(self.database) as connection:
            return connection.execute(sql).fetchall()


@pytest.fixture(scope="session")
def filled_project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project after its migrations and ``fill.py``, on SQLite."""
    folder = tmp_path_factory.mktemp("filled") / "project"
    shutil.copytree(PROJECT, folder)
    site = Site(folder, Server(folder, 0), "")
    for arguments in (("manage.py", "migrate", "-v0"), ("fill.py",)):
        done = site.run(*arguments, settings="settings")
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def make_site(filled_project: Path, server: Server, tmp_path: Path) -> Iterator[Callable[[], Site]]:
    made = []

    def make() -> Site:
        database = f"site_{uuid.uuid4().hex[:12]}"
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {database} OWNER app")
        made.append(database)
        folder = tmp_path / database
        shutil.copytree(filled_project, folder)
        return Site(folder, server, database)

    yield make
    with server.connect() as connection:
        for database in made:
            connection.execute(f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def site(make_site: Callable[[], Site]) -> Site:
    return make_site()
