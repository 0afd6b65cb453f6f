"""What uWSGI's stats socket prints -> the app server's vitals."""

from __future__ import annotations

import json

from slipstream_ops.layers.appserver.vitals import AppServerVitals, WorkerVitals


def parse(raw: str) -> AppServerVitals:
    """``raw`` is the JSON document that the stats socket sends to whoever connects."""
    stats = json.loads(raw)
    sockets = stats.get("sockets", [])
    return AppServerVitals(
        # The kernel's count of the listening socket; uWSGI's own "listen_queue" is the same where it has only one.
        listen_queue=max((one["queue"] for one in sockets), default=stats.get("listen_queue")),
        listen_queue_limit=max((one["max_queue"] for one in sockets), default=None),
        listen_queue_errors=stats.get("listen_queue_errors"),
        workers=tuple(
            WorkerVitals(
                pid=worker["pid"],
                is_busy=worker["status"].startswith("busy"),
                is_accepting=bool(worker["accepting"]) and worker["status"] != "cheap",
                requests=worker["requests"],
                exceptions=worker["exceptions"],
                killed_for_time=worker["harakiri_count"],
                respawns=worker["respawn_count"],
                average_milliseconds=worker["avg_rt"] / 1000,  # microseconds
                resident_bytes=worker["rss"] or None,  # 0 before its first request
                sent_bytes=worker["tx"],
            )
            for worker in stats["workers"]
        ),
    )
