"""Static files and uploads, sent before the project is asked: for app servers that serve no files themselves."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.headers import Headers

from whitenoise import WhiteNoise

from slipstream import wire

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

HASHED_NAME = re.compile(r"\.[0-9a-f]{12}\.[^/]+$")
"""As Django's manifest storage names files after their content: they never change."""

LIFETIME_SECONDS = 3600
"""Of other names: their content changes with a deploy or a new upload."""


class FileServer(WhiteNoise):  # type: ignore[misc]
    """Looks each file up when it is asked for (``autorefresh``).

    Collected files would otherwise be read into the memory of every worker at its start, and an upload would be missing
    until the next one. The accelerator in front keeps the answers, so that few questions arrive here.
    """

    FOREVER = 31_536_000
    """Seconds of a year, the longest that HTTP means (RFC 9111 names no more, caches keep no longer)."""

    def __init__(self, application: Application | None, maps: list[dict[str, Any]]) -> None:
        super().__init__(
            application,
            autorefresh=True,
            max_age=LIFETIME_SECONDS,
            allow_all_origins=False,  # uploads are not for other sites' scripts to read
            add_headers_function=forbid_sniffing,
        )
        for entry in maps:
            self.add_files(entry["folder"], entry["url"])
        self.prefixes = tuple(entry["url"] for entry in maps)
        self.hashed = tuple(entry["url"] for entry in maps if entry["is_static"])

    def immutable_file_test(self, path: str, url: str) -> bool:
        return url.startswith(self.hashed) and HASHED_NAME.search(url) is not None


def forbid_sniffing(headers: Headers, path: str, url: str) -> None:
    """An upload is what its name says, whatever is in it."""
    headers["X-Content-Type-Options"] = "nosniff"


def file_maps() -> list[dict[str, Any]]:
    """What the stack says is to be served, see ``wire.FILES_VARIABLE``."""
    maps: list[dict[str, Any]] = json.loads(os.environ.get(wire.FILES_VARIABLE) or "[]")
    return maps


def serve_files(application: Application) -> Application:
    """``application``, with the files of ``file_maps`` in front; a file that is not there is the application's to answer."""
    maps = file_maps()
    return FileServer(application, maps) if maps else application
