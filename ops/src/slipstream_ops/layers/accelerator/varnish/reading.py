"""Reads what ``varnishstat -j`` prints into the accelerator's vitals."""

from __future__ import annotations

import json
from collections.abc import Mapping

from slipstream_ops.layers.accelerator.vitals import AcceleratorVitals, BackendVitals


def parse(raw: str) -> AcceleratorVitals:
    """The accelerator's vitals from one JSON document of ``varnishstat -1 -j`` (layout version 1)."""
    values: dict[str, int] = {name: entry["value"] for name, entry in json.loads(raw)["counters"].items()}
    main = {name.removeprefix("MAIN."): value for name, value in values.items() if name.startswith("MAIN.")}
    transient = values.get("SMA.Transient.g_bytes")
    return AcceleratorVitals(
        uptime_seconds=main.get("uptime"),
        requests=main.get("client_req"),
        hits=main.get("cache_hit"),
        grace_hits=main.get("cache_hit_grace"),
        misses=main.get("cache_miss"),
        passes=main.get("s_pass"),
        pipes=main.get("s_pipe"),
        own_answers=main.get("s_synth"),
        purges=main.get("n_purges"),
        fetches=main.get("s_fetch"),
        fetches_failed=main.get("fetch_failed"),
        objects=main.get("n_object"),
        objects_expired=main.get("n_expired"),
        objects_evicted=main.get("n_lru_nuked"),
        memory_used_bytes=values.get("SMA.s0.g_bytes"),
        memory_free_bytes=values.get("SMA.s0.g_space"),
        memory_transient_bytes=transient,
        bytes_out=_sum(main, "s_resp_hdrbytes", "s_resp_bodybytes"),
        sessions=main.get("sess_conn"),
        sessions_dropped=_sum(main, "sess_dropped", "sess_fail"),
        sessions_queued=main.get("sess_queued"),
        threads=main.get("threads"),
        threads_limited=main.get("threads_limited"),
        restarts=values.get("MGT.child_panic"),
        log_overruns=main.get("vsl_overruns") if "vsl_overruns" in main else main.get("shm_cont"),
        backends=_backends(values),
    )


def _sum(values: Mapping[str, int], *names: str) -> int | None:
    found = [values[name] for name in names if name in values]
    return sum(found) if found else None


def _backends(values: Mapping[str, int]) -> tuple[BackendVitals, ...]:
    # VBE.<configuration>.<backend>.<counter>; while a replaced configuration cools down, there are several.
    groups: dict[tuple[str, str], dict[str, int]] = {}
    for name, value in values.items():
        parts = name.split(".")
        if len(parts) == 4 and parts[0] == "VBE":
            groups.setdefault((parts[1], parts[2]), {})[parts[3]] = value
    backends: dict[str, BackendVitals] = {}
    for (_, name), counters in groups.items():
        happy = counters.get("happy")
        backends[name] = BackendVitals(
            name=name,
            # "happy" is a bit for each of the last 64 probes, the newest lowest; up: 3 of the last 5 were good.
            is_healthy=None if name != "apps" or happy is None else bin(happy & 0b11111).count("1") >= 3,
            requests=counters.get("req"),
            connections=counters.get("conn"),
            failures=_sum(counters, "fail", "unhealthy", "busy"),
        )
    return tuple(backends.values())
