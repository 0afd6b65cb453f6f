"""A PostgreSQL and a Redis of the tests' own, on sockets in their own folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
from redis import Redis
from redis.exceptions import RedisError

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
HERE = Path(__file__).parent
RUNTIME = HERE.parents[2] / "src"


def wait_until(condition: Callable[[], Any], what: str, timeout_seconds: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_seconds:g} s: {what}"
        time.sleep(0.01)


class Postgres:
    """As the user nobody when the tests run as root, which it refuses to run as."""

    def __init__(self) -> None:
        assert PROGRAMS, "PostgreSQL is not installed"
        self.folder = Path(tempfile.mkdtemp(prefix="ss-", dir="/tmp"))
        self.process: subprocess.Popen[bytes] | None = None
        user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._as_user: dict[str, Any] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
        if user:
            os.chown(self.folder, user.pw_uid, user.pw_gid)
        self.folder.chmod(0o755)
        options = ["-D", self.folder / "data", "-U", "owner", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8", "-N"]
        subprocess.run([PROGRAMS[-1] / "initdb", *options], check=True, capture_output=True, cwd="/", **self._as_user)

    def start(self) -> None:
        options = [
            "-c",
            "listen_addresses=",
            "-k",
            self.folder,
            "-p",
            "5432",
            "-c",
            "fsync=off",
            "-c",
            "max_prepared_transactions=4",
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [PROGRAMS[-1] / "postgres", "-D", self.folder / "data", *options],
                stdout=log,
                stderr=log,
                cwd="/",
                **self._as_user,
            )

        def answers() -> bool:
            assert self.process is not None and self.process.poll() is None, (self.folder / "log").read_text()
            try:
                self.connect("postgres").close()
            except psycopg.OperationalError:
                return False
            return True

        wait_until(answers, "PostgreSQL answers", 30)

    def connect(self, database: str = "newsstand") -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self.folder), port=5432, dbname=database, user="owner", autocommit=True)

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(20)
            self.process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Store:
    """A redis-server that keeps nothing; starting it again keeps the socket and loses the data."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="ss-", dir="/tmp"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def client(self) -> Redis:
        return Redis(unix_socket_path=f"{self.folder}/redis.sock")

    def start(self) -> None:
        binary = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/usr/local/bin")
        assert binary, "the package redis-server is not installed"
        command = [binary, "--port", "0", "--unixsocket", f"{self.folder}/redis.sock", "--save", "", "--dir", str(self.folder)]
        self.process = subprocess.Popen([*command, "--maxmemory-policy", "volatile-lru"], stdout=subprocess.DEVNULL)

        def answers() -> bool:
            try:
                return bool(self.client().ping())
            except RedisError:
                return False

        wait_until(answers, "Redis answers")

    def kill(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
