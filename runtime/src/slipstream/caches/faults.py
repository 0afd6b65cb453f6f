"""What happens when a cache server does not answer: a miss, a count, one log line, and a while of leaving it alone."""

from __future__ import annotations

import logging
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, fields
from time import monotonic
from typing import Any, Protocol

logger = logging.getLogger("slipstream.caches")


class CacheUnavailable(ConnectionError):
    """Raised by a strict cache, and inside the backends, when a server cannot be asked."""


class CommandRefused(CacheUnavailable):
    """The server answered, and refused this command (out of memory, too large, read-only): the server itself lives."""


class Connection(Protocol):
    """What a product's connection offers the breaker."""

    def begin(self, deadline: float, is_longer: bool) -> None: ...
    def is_stale(self) -> bool: ...
    def close(self) -> None: ...


@dataclass(slots=True)
class ServerCounts:
    """Events of one server as this process saw them, since it started."""

    failures: int = 0  # operations that got no answer
    timeouts: int = 0  # those among them that ran out of time
    refused: int = 0  # operations that got an error for an answer
    ejections: int = 0
    returns: int = 0
    reconnects: int = 0  # idle connections that had been closed by the server
    settled: int = 0  # keys deleted because a write to them had been lost


class Server:
    """One cache server: its idle connections, its circuit breaker, its counts. Shared by all threads and caches of a process.

    `retry_at` is 0.0 while the server is in use. Callers look at it before each operation, so that a closed breaker
    costs an attribute and an open one a single clock reading.
    """

    def __init__(
        self,
        name: str,
        connect: Callable[[float], Any],
        timeout_seconds: float,
        failures_before_ejection: int,
        retry_seconds: float,
    ) -> None:
        self.name = name
        self.timeout_seconds = timeout_seconds
        self.counts = ServerCounts()
        self.retry_at = 0.0
        self.generations: dict[bytes, bytes] = {}  # generation key -> the generation last seen
        self._connect = connect
        self._failures_before_ejection = failures_before_ejection
        self._retry_seconds = retry_seconds
        self._failures_in_row = 0
        self._idle: deque[Any] = deque(maxlen=128)
        self._lock = threading.Lock()
        self._log_again_at = 0.0
        _servers.add(self)

    def may_be_tried(self) -> bool:
        """Say whether an ejected server is due for a try; one caller in `retry_seconds` gets the yes."""
        now = monotonic()
        if now < self.retry_at:
            return False
        with self._lock:
            if self.retry_at and now < self.retry_at:
                return False
            if self.retry_at:
                self.retry_at = now + self._retry_seconds
            return True

    def call(self, action: Callable[..., Any], *args: Any, is_repeatable: bool = True, timeout_seconds: float = 0.0) -> Any:
        """Run `action(connection, *args)` within the operation's time; raises CacheUnavailable.

        An idle connection that the server has closed meanwhile (a restart) is not the server's failure: the
        operation is done again on a new one, unless doing it twice could count twice (`is_repeatable`).
        """
        deadline = monotonic() + (timeout_seconds or self.timeout_seconds)
        is_longer = timeout_seconds > 0
        idle = self._idle
        connection = None
        try:
            while connection is None:
                try:
                    connection = idle.pop()
                except IndexError:
                    connection = self._connect(deadline)
                    break
                if not is_repeatable and connection.is_stale():
                    self._discard_idle(connection)
                    connection = None
                    continue
                try:
                    connection.begin(deadline, is_longer)
                    answer = action(connection, *args)
                except CommandRefused:
                    raise
                except Exception as failure:
                    if not is_repeatable or _is_timeout(failure):
                        raise
                    self._discard_idle(connection)
                    connection = None
                else:
                    idle.append(connection)
                    if self._failures_in_row or self.retry_at:
                        self._recover()
                    return answer
            connection.begin(deadline, is_longer)
            answer = action(connection, *args)
        except CommandRefused as refusal:
            if connection is not None:
                idle.append(connection)
            self.counts.refused += 1
            self._log_at_intervals("cache server %s refuses: %s", refusal)
            raise
        except Exception as failure:  # any misbehaviour of a server: closed, silent, slow, or not speaking the protocol
            if connection is not None:
                connection.close()
            self._fail(failure)
            raise CacheUnavailable(f"cache server {self.name}: {failure}") from failure
        except BaseException:  # interrupted half-way through an answer: the connection is of no further use
            if connection is not None:
                connection.close()
            raise
        idle.append(connection)
        if self._failures_in_row or self.retry_at:
            self._recover()
        return answer

    def forget_connections(self) -> None:
        """Drop all idle connections without speaking to the server (after a fork they are the parent's)."""
        self._idle.clear()
        self._lock = threading.Lock()

    def _discard_idle(self, stale: Any) -> None:
        self.counts.reconnects += 1
        stale.close()
        while True:
            try:
                self._idle.pop().close()
            except IndexError:
                return

    def _fail(self, failure: Exception) -> None:
        with self._lock:
            self.counts.failures += 1
            if _is_timeout(failure):
                self.counts.timeouts += 1
            self._failures_in_row += 1
            is_ejected_now = self._failures_in_row >= self._failures_before_ejection and not self.retry_at
            if is_ejected_now:
                self.counts.ejections += 1
                self.retry_at = monotonic() + self._retry_seconds
        if is_ejected_now:
            logger.warning(
                "cache server %s ejected after %d failures in a row (%s): its keys are misses or move to other servers; "
                "next try in %g s",
                self.name,
                self._failures_before_ejection,
                failure,
                self._retry_seconds,
            )
        elif not self.retry_at:
            self._log_at_intervals("cache server %s did not answer: %s", failure)

    def _recover(self) -> None:
        with self._lock:
            is_back = bool(self.retry_at)
            self.retry_at = 0.0
            self._failures_in_row = 0
            if is_back:
                self.counts.returns += 1
        if is_back:
            logger.warning("cache server %s is back", self.name)

    def _log_at_intervals(self, message: str, failure: Exception) -> None:
        now = monotonic()
        if now >= self._log_again_at:
            self._log_again_at = now + max(self._retry_seconds, 1.0)
            logger.warning(message, self.name, failure)


def _is_timeout(failure: BaseException) -> bool:
    return isinstance(failure, TimeoutError) or "imeout" in type(failure).__name__


def server_counts() -> dict[str, dict[str, int]]:
    """Return the counted events of each cache server that this process knows, by the server's name."""
    totals: dict[str, dict[str, int]] = {}
    for server in sorted(_servers, key=lambda server: server.name):
        # Caches with other time limits have their own connections and breaker to the same server.
        total = totals.setdefault(server.name, {count.name: 0 for count in fields(ServerCounts)})
        for name in total:
            total[name] += getattr(server.counts, name)
    return totals


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _forget_connections_after_fork() -> None:
    for server in list(_servers):
        server.forget_connections()


os.register_at_fork(after_in_child=_forget_connections_after_fork)
