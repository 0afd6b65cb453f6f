"""One JSON line a request on standard output, escaped: a visitor must not be able to write log lines."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from slipstream import wire


def write_line(*, request_id: str, client: str, method: str, path: str, status: int, milliseconds: int, sent_bytes: int) -> None:
    """``path`` without its query, which may carry the token of a password reset."""
    line = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "layer": "appserver",
        "instance": Path(os.environ.get(wire.INSTANCE_VARIABLE, "")).name,
        "request_id": request_id,
        "client": client,
        "method": method,
        "path": path,
        "status": status,
        "milliseconds": milliseconds,
        "bytes": sent_bytes,
        "worker": os.getpid(),
    }
    # One write for one line: several processes share the pipe, which keeps writes of up to 4096 bytes apart.
    sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def first_address(forwarded: str, peer: str) -> str:
    """The visitor: the edge begins X-Forwarded-For with the address that it saw."""
    return forwarded.partition(",")[0].strip() or peer
