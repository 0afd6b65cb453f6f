"""What ``look`` prints about a gunicorn instance -> the app server's vitals."""

from __future__ import annotations

import json

from slipstream_ops.layers.appserver.vitals import AppServerVitals, WorkerVitals


def parse(raw: str) -> AppServerVitals:
    """``raw`` is the JSON document of ``look``. Workers have no lasting slots: what ended ones were killed for counts with the
    oldest worker, and ``respawns`` is 0."""
    seen = json.loads(raw)
    workers = []
    for number, worker in enumerate(seen["workers"]):
        cells = worker["cells"] or {}
        requests = cells.get("requests", 0)
        workers.append(
            WorkerVitals(
                pid=worker["pid"],
                is_busy=cells.get("busy", 0) > 0,
                is_accepting=worker["cells"] is not None,
                requests=requests,
                exceptions=cells.get("exceptions", 0),
                killed_for_time=cells.get("killed", 0) + (seen["killed"] if number == 0 else 0),
                respawns=0,
                average_milliseconds=cells.get("microseconds", 0) / 1000 / max(1, requests),
                resident_bytes=worker["resident"],
                sent_bytes=cells.get("sent_bytes", 0),
            )
        )
    return AppServerVitals(
        listen_queue=seen["queue"], listen_queue_limit=seen["queue_limit"], listen_queue_errors=None, workers=tuple(workers)
    )
