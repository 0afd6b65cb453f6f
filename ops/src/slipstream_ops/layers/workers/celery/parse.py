"""What ``celery inspect stats --json`` prints -> the workers' vitals."""

from __future__ import annotations

import json

from slipstream_ops.layers.workers.vitals import WorkersVitals, WorkerVitals


def parse(raw: str) -> WorkersVitals:
    """``raw``: a JSON object by node name on one line; other lines are the project's own prints. No line: nobody answered."""
    line = next((line for line in reversed(raw.splitlines()) if line.startswith("{")), "{}")
    return WorkersVitals(
        tuple(
            WorkerVitals(
                name=name.partition("@")[0],
                pid=stats["pid"],
                uptime_seconds=float(stats["uptime"]),
                processes=len(stats["pool"].get("processes", ())),
                done=dict(stats["total"]),
                resident_peak_bytes=stats.get("rusage", {}).get("maxrss", 0) * 1024 or None,
            )
            for name, stats in sorted(json.loads(line).items())
        )
    )
