"""The edge's numbers at one instant, whichever product it is; what a product cannot tell is None."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerVitals:
    """One server behind the edge. Times are means of its last 1,024 requests; counters run since the edge's start."""

    pool: str
    name: str
    is_up: bool
    state: str  # "up", "down", "drain", "maintenance", "unchecked"
    is_backup: bool
    weight: int | None
    requests_active: int | None
    requests_max: int | None  # its concurrency limit
    requests: int | None
    queued: int | None
    answers_5xx: int | None
    connection_errors: int | None
    retries: int | None
    redispatches: int | None
    check: str | None  # result of the last health check, in the product's words
    seconds_in_state: int | None
    queue_milliseconds: float | None
    connect_milliseconds: float | None
    response_milliseconds: float | None


@dataclass(frozen=True)
class PoolVitals:
    """All servers of one kind together."""

    name: str
    servers: tuple[ServerVitals, ...]
    queued: int | None
    queued_max: int | None  # most at once since the start
    requests_active: int | None
    requests: int | None
    answers: dict[str, int]  # by class: "1xx" ... "5xx", "other"
    connection_errors: int | None
    response_errors: int | None
    response_milliseconds: float | None

    @property
    def servers_up(self) -> int:
        return sum(server.is_up for server in self.servers)


@dataclass(frozen=True)
class EntryVitals:
    """One place where the edge accepts requests."""

    name: str
    connections: int | None
    connections_max: int | None
    requests: int | None
    requests_per_second: int | None
    bytes_in: int | None
    bytes_out: int | None
    denied: int | None
    request_errors: int | None
    answers: dict[str, int]


@dataclass(frozen=True)
class EdgeVitals:
    """Connections and limits of the whole edge, then each entry and each pool of servers."""

    version: str | None
    uptime_seconds: int | None
    connections: int | None
    connections_max: int | None
    connections_per_second: int | None
    tls_handshakes_per_second: int | None
    requests: int | None
    idle_percent: int | None  # of the event loop; under 20 the edge itself is short of processor time
    memory_bytes: int | None
    entries: tuple[EntryVitals, ...]
    pools: tuple[PoolVitals, ...]
