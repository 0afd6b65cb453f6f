"""One JSON object per line on stderr, with the id of the request it belongs to."""

from __future__ import annotations

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import datetime, timezone
from typing import Any

request_id: ContextVar[str | None] = ContextVar("slipstream_request_id", default=None)
"""Id of the request that the current thread or task works for; set by the middleware."""

STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request", "server_time", "taskName"}
"""What every record has, and ``request``, which is an object: everything else was given as ``extra`` and is kept."""


class JsonFormatter(logging.Formatter):
    """``{"time", "level", "logger", "message", "request_id", "traceback", ...extra}``; values that JSON lacks as text."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),  # noqa: UP017
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            line["request_id"] = current
        if status := getattr(record, "status_code", None):
            line["status"] = status
        if request := getattr(record, "request", None):
            line["method"], line["path"] = getattr(request, "method", None), getattr(request, "path", None)
        extra = vars(record).keys() - STANDARD_FIELDS - {"status_code"}
        line |= {name: getattr(record, name) for name in sorted(extra) if name not in line}
        if record.exc_info and record.exc_info[0]:
            line["traceback"] = "".join(traceback.format_exception(*record.exc_info))
        elif record.exc_text:
            line["traceback"] = record.exc_text
        if record.stack_info:
            line["stack"] = record.stack_info
        return json.dumps(line, default=str, ensure_ascii=False)
