"""Reads what HAProxy prints about itself (``show info`` and ``show stat``) into the edge's vitals."""

from __future__ import annotations

import csv
from collections.abc import Mapping

from slipstream_ops.layers.edge.vitals import EdgeVitals, EntryVitals, PoolVitals, ServerVitals

ANSWER_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "other")


def parse(raw: str) -> EdgeVitals:
    """The edge's vitals from the answer to ``show info;show stat`` on the stats socket."""
    head, _, table = raw.partition("# pxname")
    info = dict(line.split(": ", 1) for line in head.splitlines() if ": " in line)
    rows = list(csv.DictReader(("pxname" + table).strip().splitlines()))
    pools = []
    for row in rows:
        if row["svname"] == "BACKEND":
            members = [_server(r) for r in rows if r["pxname"] == row["pxname"] and r["svname"] not in ("BACKEND", "FRONTEND")]
            pools.append(_pool(row, tuple(members)))
    return EdgeVitals(
        version=info.get("Version"),
        uptime_seconds=_number(info, "Uptime_sec"),
        connections=_number(info, "CurrConns"),
        connections_max=_number(info, "Maxconn"),
        connections_per_second=_number(info, "ConnRate"),
        tls_handshakes_per_second=_number(info, "SslFrontendKeyRate"),
        requests=_number(info, "CumReq"),
        idle_percent=_number(info, "Idle_pct"),
        memory_bytes=_megabytes(info, "PoolAlloc_MB"),
        entries=tuple(_entry(row) for row in rows if row["svname"] == "FRONTEND"),
        pools=tuple(pools),
    )


def _number(row: Mapping[str, str], key: str) -> int | None:
    value = row.get(key) or ""
    return int(value) if value.lstrip("-").isdigit() else None


def _megabytes(info: Mapping[str, str], key: str) -> int | None:
    value = _number(info, key)
    return None if value is None else value << 20


def _answers(row: Mapping[str, str]) -> dict[str, int]:
    return {name: _number(row, f"hrsp_{name}") or 0 for name in ANSWER_CLASSES}


def _state(status: str) -> str:
    # "UP", "UP 1/2" (going down), "DOWN", "DOWN 1/2" (going up), "DOWN (agent)", "NOLB", "DRAIN", "MAINT", "MAINT (via x/y)"
    word = status.split(" ", 1)[0]
    return {"UP": "up", "DRAIN": "drain", "MAINT": "maintenance", "no": "unchecked", "NOLB": "drain"}.get(word, "down")


def _server(row: Mapping[str, str]) -> ServerVitals:
    state = _state(row["status"])
    return ServerVitals(
        pool=row["pxname"],
        name=row["svname"],
        is_up=state in ("up", "unchecked"),
        state=state,
        is_backup=row["bck"] == "1",
        weight=_number(row, "weight"),
        requests_active=_number(row, "scur"),
        requests_max=_number(row, "slim"),
        requests=_number(row, "stot"),
        queued=_number(row, "qcur"),
        answers_5xx=_number(row, "hrsp_5xx"),
        connection_errors=_number(row, "econ"),
        retries=_number(row, "wretr"),
        redispatches=_number(row, "wredis"),
        check=row.get("check_status") or None,
        seconds_in_state=_number(row, "lastchg"),
        queue_milliseconds=_number(row, "qtime"),
        connect_milliseconds=_number(row, "ctime"),
        response_milliseconds=_number(row, "rtime"),
    )


def _pool(row: Mapping[str, str], servers: tuple[ServerVitals, ...]) -> PoolVitals:
    return PoolVitals(
        name=row["pxname"],
        servers=servers,
        queued=_number(row, "qcur"),
        queued_max=_number(row, "qmax"),
        requests_active=_number(row, "scur"),
        requests=_number(row, "req_tot") or _number(row, "stot"),
        answers=_answers(row),
        connection_errors=_number(row, "econ"),
        response_errors=_number(row, "eresp"),
        response_milliseconds=_number(row, "rtime"),
    )


def _entry(row: Mapping[str, str]) -> EntryVitals:
    return EntryVitals(
        name=row["pxname"],
        connections=_number(row, "scur"),
        connections_max=_number(row, "slim"),
        requests=_number(row, "req_tot"),
        requests_per_second=_number(row, "req_rate"),
        bytes_in=_number(row, "bin"),
        bytes_out=_number(row, "bout"),
        denied=_number(row, "dreq"),
        request_errors=_number(row, "ereq"),
        answers=_answers(row),
    )
