"""The worker that runs ASGI applications: uvicorn's, with this stack's limits and without its own request log."""

from __future__ import annotations

from typing import Any

try:
    from uvicorn_worker import UvicornWorker
except ImportError:  # before it was a package of its own
    from uvicorn.workers import UvicornWorker


class AsgiWorker(UvicornWorker):  # type: ignore[misc]
    CONFIG_KWARGS: dict[str, Any] = {
        "loop": "auto",
        "http": "auto",
        "ws": "auto",
        "lifespan": "auto",
        "access_log": False,  # slipstream.asgi writes it, in the stack's form
        "h11_max_incomplete_event_size": 65536,  # twice the largest head that the edge lets in
    }
