"""Real cache servers on free ports, and a proxy that does to them what networks do."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until(condition: Callable[[], bool], what: str, timeout_seconds: float = 10.0) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_seconds:g} s: {what}")
        time.sleep(0.01)


def is_listening(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
        return True
    return False


def _state(thread: Path) -> str:
    return (thread / "stat").read_text().rpartition(")")[2].split()[0]


class CacheServer:
    """A redis-server or memcached of our own; starting it again keeps the port and loses the data."""

    def __init__(self, product: str, *arguments: str) -> None:
        self.product = product
        self.arguments = arguments
        self.port = free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="slipstream-cache-"))
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def location(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.product == "redis" else f"127.0.0.1:{self.port}"

    @property
    def backend(self) -> str:
        return "slipstream.caches.RedisCache" if self.product == "redis" else "slipstream.caches.MemcachedCache"

    def start(self) -> CacheServer:
        binary = shutil.which("redis-server" if self.product == "redis" else "memcached", path="/usr/bin:/usr/local/bin:/bin")
        assert binary, f"the {self.product} server is not installed"
        if self.product == "redis":
            command = [binary, "--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--dir", str(self.directory)]
        else:
            command = [binary, "-p", str(self.port), "-l", "127.0.0.1", "-u", "nobody", "-m", "64", "-c", "4096"]
        command += [argument.replace("DIRECTORY", str(self.directory)) for argument in self.arguments]
        with (self.directory / "log").open("ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        wait_until(lambda: is_listening(self.port), f"{self.product} answers on {self.port}")
        return self

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(19)  # SIGSTOP: accepts connections in the kernel, answers nothing
        threads = Path(f"/proc/{self.process.pid}/task")
        wait_until(lambda: all(_state(thread) == "T" for thread in threads.iterdir()), "every thread has stopped")

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(18)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self.resume()
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)


class FaultProxy:
    """A TCP proxy whose `fault` may be changed at any moment; it holds for what is sent after the change.

    none · refuse (accepts and closes) · silent (swallows everything) · drip (one byte of the answer each 60 ms) ·
    truncate (half of each answer, then closed) · garbage (noise for an answer)
    """

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.fault = "none"
        self.requests = 0  # pieces forwarded from the client: with small requests, the round trips
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self.listener.getsockname()[1])
        self._open: set[socket.socket] = set()
        self._is_closed = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            if self.fault == "refuse":
                client.close()
                continue
            try:
                server = socket.create_connection(("127.0.0.1", self.target_port))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            threading.Thread(target=self._forward, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._forward, args=(server, client, False), daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket, is_request: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                fault = self.fault
                if fault == "silent":
                    continue
                if fault == "refuse":
                    break
                if is_request:
                    self.requests += 1
                elif fault == "drip":
                    for index in range(len(data)):
                        sink.sendall(data[index : index + 1])
                        time.sleep(0.06)
                    continue
                elif fault == "truncate":
                    sink.sendall(data[: len(data) // 2])
                    break
                elif fault == "garbage":
                    data = b"\x00\xffnonsense\r\n" * 4
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self) -> None:
        self._is_closed = True
        self.listener.close()
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.close()


@contextlib.contextmanager
def running(product: str, *arguments: str) -> Iterator[CacheServer]:
    server = CacheServer(product, *arguments)
    try:
        yield server.start()
    finally:
        server.close()
