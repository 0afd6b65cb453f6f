"""Sockets that keep one deadline for a whole operation: connecting, the handshake and every part of the answer.

A plain socket timeout is counted anew for each call, so a server that sends one byte every 40 ms would hold a
50 ms operation for ever.
"""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

AddressInfo = tuple[Any, Any, int, str, Any]


class DeadlineSocket(socket.socket):
    """A socket that gives up at `deadline` (monotonic seconds), however the answer is sliced.

    The first receive of an operation runs on the full timeout that the kernel already holds, so that the normal
    case (one answer, one receive) costs no further clock reading and no further system call.
    """

    deadline = 0.0
    has_received = True
    is_shortened = False
    full_timeout_seconds = 0.0

    def begin(self, deadline: float, is_longer: bool = False) -> None:
        """Start an operation that must end by `deadline`; `is_longer` than what operations usually have."""
        self.deadline = deadline
        self.has_received = is_longer
        if self.is_shortened:
            self.is_shortened = False
            self.settimeout(self.full_timeout_seconds)

    def shorten(self) -> None:
        """Lower the timeout to what is left of the operation; raises TimeoutError when nothing is."""
        left = self.deadline - monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self.settimeout(left)
        self.is_shortened = True

    def recv(self, *args: Any) -> bytes:
        if self.has_received:
            self.shorten()
        self.has_received = True
        return super().recv(*args)

    def recv_into(self, *args: Any) -> int:
        if self.has_received:
            self.shorten()
        self.has_received = True
        return super().recv_into(*args)


def open_tcp(host: str, port: int, deadline: float, timeout_seconds: float) -> DeadlineSocket:
    """Connect to the first address of a host that answers before `deadline`; raises OSError (TimeoutError included)."""
    error: OSError | None = None
    for family, kind, protocol, _, address in _resolve(host, port, deadline):
        try:
            return _open(family, kind, protocol, address, deadline, timeout_seconds)
        except OSError as failure:
            error = failure
    raise error or OSError(f"{host} has no address")


def open_unix(path: str, deadline: float, timeout_seconds: float) -> DeadlineSocket:
    """Connect to a Unix socket before `deadline`; raises OSError."""
    return _open(socket.AF_UNIX, socket.SOCK_STREAM, 0, path, deadline, timeout_seconds)


def _open(family: int, kind: int, protocol: int, address: Any, deadline: float, timeout_seconds: float) -> DeadlineSocket:
    opened = DeadlineSocket(family, kind, protocol)
    try:
        opened.deadline = deadline
        opened.full_timeout_seconds = timeout_seconds
        if family != socket.AF_UNIX:
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        opened.shorten()
        opened.connect(address)
    except BaseException:
        opened.close()
        raise
    return opened


def _resolve(host: str, port: int, deadline: float) -> list[AddressInfo]:
    """Ask the resolver, which knows no timeout, from a thread that may be left behind."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        pass  # a name: ask
    if not _may_start_threads():
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    answer: list[AddressInfo] = []
    failure: list[OSError] = []
    thread = threading.Thread(target=_look_up, args=(host, port, answer.extend, failure.append), daemon=True)
    thread.start()
    thread.join(max(deadline - monotonic(), 0))
    if failure:
        raise failure[0]
    if not answer:
        raise TimeoutError(f"the name {host} was not resolved in time")
    return answer


def _may_start_threads() -> bool:
    """Say whether a thread would run: in uWSGI without enable-threads it would not, and no name would ever be resolved."""
    uwsgi = sys.modules.get("uwsgi")
    given = getattr(uwsgi, "opt", {})
    return uwsgi is None or any(name in given for name in ("enable-threads", b"enable-threads", "threads", b"threads"))


def _look_up(host: str, port: int, found: Callable[[list[AddressInfo]], None], failed: Callable[[OSError], None]) -> None:
    try:
        found(list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))
    except OSError as failure:
        failed(failure)
