"""Reads what nginx prints about itself (``stub_status``) into the edge's vitals."""

from __future__ import annotations

import re

from slipstream_ops.layers.edge.vitals import EdgeVitals


def parse(raw: str) -> EdgeVitals:
    """The edge's vitals from the HTTP answer of the stats socket. Open-source nginx counts connections and requests of the
    whole process and nothing of its servers: entries and pools are empty, everything else is None."""
    version = re.search(r"^Server: nginx/(\S+)", raw, re.MULTILINE)
    most = re.search(r"^X-Connections-Max: (\d+)", raw, re.MULTILINE)
    active = re.search(r"^Active connections: (\d+)", raw, re.MULTILINE)
    totals = re.search(r"^ *(\d+) +(\d+) +(\d+) *$", raw, re.MULTILINE)
    return EdgeVitals(
        version=version[1] if version else None,
        uptime_seconds=None,
        connections=int(active[1]) if active else None,
        connections_max=int(most[1]) if most else None,
        connections_per_second=None,
        tls_handshakes_per_second=None,
        requests=int(totals[3]) if totals else None,
        idle_percent=None,
        memory_bytes=None,
        entries=(),
        pools=(),
    )
