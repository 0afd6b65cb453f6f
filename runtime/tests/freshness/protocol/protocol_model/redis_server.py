"""A real redis-server for one test module, on a socket of its own."""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

START_SECONDS = 20


@dataclass
class RedisServer:
    """A redis-server without persistence on a socket in its own directory; `restart` keeps the directory, and so a dump saved
    there.
    """

    directory: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        binary = shutil.which("redis-server", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/bin:/usr/local/bin")
        assert binary, "Starting Redis for the tests: redis-server is not installed; install the package redis-server."
        command = [binary, "--port", "0", "--unixsocket", str(self.socket), "--save", "", "--dir", str(self.directory)]
        self.process = subprocess.Popen([*command, "--maxmemory-policy", "volatile-lru"], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                with self.client() as client:
                    client.ping()
                return
            except RedisConnectionError:
                assert self.process.poll() is None, f"redis-server ended with {self.process.returncode} before it answered"
                assert time.monotonic() < deadline, f"redis-server did not answer within {START_SECONDS} s"
                time.sleep(0.02)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self.socket))
