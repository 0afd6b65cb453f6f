"""``logs``: the captured output of all services, from one file each, by service or by request id, followed when asked."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from slipstream_ops.placement import State

POLL_SECONDS = 0.2
TAIL_BYTES = 256 << 10
"""How much of each file's end is looked at for its last lines; a search by request id reads all."""


@dataclass(frozen=True)
class Line:
    service: str
    text: str


def log_files(state: State, services: Iterable[str] | None = None) -> dict[str, Path]:
    """Current log file by service name."""
    wanted = set(services) if services is not None else None
    return {path.stem: path for path in sorted(state.logs.glob("*.log")) if wanted is None or path.stem in wanted}


def last_lines(files: dict[str, Path], count: int) -> Iterator[Line]:
    """The last ``count`` lines of each file, service by service."""
    for service, path in files.items():
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
            for text in lines[len(lines) - min(count, len(lines)) :]:
                yield Line(service, text)


def lines_of_request(files: dict[str, Path], request_id: str) -> Iterator[Line]:
    """Every kept line (rotated files too, oldest first) that carries the request id."""
    for service, path in files.items():
        rotated = sorted(path.parent.glob(path.name + ".[0-9]*"), key=lambda p: -int(p.suffix[1:]))
        for part in (*rotated, path):
            with part.open("rb") as stream:
                for raw in stream:
                    if request_id.encode() in raw:
                        yield Line(service, raw.decode(errors="replace").rstrip("\n"))


def follow(files: dict[str, Path], request_id: str | None = None) -> Iterator[Line]:
    """New lines of all files as they are written, for ever; a rotated file is picked up from its beginning."""
    positions = {service: path.stat().st_size if path.exists() else 0 for service, path in files.items()}
    pieces = dict.fromkeys(files, b"")
    while True:
        is_quiet = True
        for service, path in files.items():
            try:
                size = path.stat().st_size
            except OSError:
                continue
            if size < positions[service]:
                positions[service] = 0
            if size == positions[service]:
                continue
            is_quiet = False
            with path.open("rb") as stream:
                stream.seek(positions[service])
                data = pieces[service] + stream.read()
                positions[service] = stream.tell()
            *whole, pieces[service] = data.split(b"\n")
            for raw in whole:
                if request_id is None or request_id.encode() in raw:
                    yield Line(service, raw.decode(errors="replace"))
        if is_quiet:
            time.sleep(POLL_SECONDS)


def as_json(line: Line) -> str:
    """One JSON object a line; a line that is JSON itself is embedded, any other is its ``text``."""
    try:
        entry = json.loads(line.text)
    except ValueError:
        entry = None
    return json.dumps(
        {"service": line.service, "entry": entry} if isinstance(entry, dict) else {"service": line.service, "text": line.text}
    )
