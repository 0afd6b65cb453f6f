"""A worker's numbers in a few bytes of shared memory, which the tool reads without asking the worker."""

from __future__ import annotations

import mmap
import os
import threading
from contextlib import suppress
from pathlib import Path

from slipstream import wire

CELL_BYTES = 8


class Scoreboard:
    """Counters of this process, in a file that exists while the worker is ready. Counting costs no system call."""

    def __init__(self, path: Path) -> None:
        self.path = path
        beside = path.with_name(f".{path.name}")
        with beside.open("w+b") as file:
            file.truncate(CELL_BYTES * len(wire.SCOREBOARD_FIELDS))
            self.memory = mmap.mmap(file.fileno(), 0)
        self.cells = memoryview(self.memory).cast("Q")
        self.lock = threading.Lock()
        beside.replace(path)  # whole from the first moment

    def add(self, **amounts: int) -> None:
        """Change counters by name (``wire.SCOREBOARD_FIELDS``)."""
        with self.lock:
            for name, amount in amounts.items():
                index = wire.SCOREBOARD_FIELDS.index(name)
                self.cells[index] = max(0, self.cells[index] + amount)


def read_cells(path: Path) -> dict[str, int]:
    """The counters in the file at ``path``; empty when it is gone."""
    try:
        cells = memoryview(path.read_bytes()).cast("Q")
    except (OSError, TypeError):
        return {}
    return dict(zip(wire.SCOREBOARD_FIELDS, cells, strict=False))


def instance_folder() -> Path | None:
    """Where scoreboards are kept; None when nobody asked for them."""
    name = os.environ.get(wire.INSTANCE_VARIABLE)
    return Path(name) if name else None


def board_of(folder: Path, pid: int) -> Path:
    return folder / str(pid)


def clear(folder: Path) -> None:
    """Remove what an instance that was killed left."""
    for path in folder.iterdir():
        if path.name.lstrip(".").isdigit() or path.name == wire.KILLED_FILE:
            path.unlink(missing_ok=True)


def retire(folder: Path, pid: int) -> None:
    """Take a worker that ended off the board; what it ended for time stays counted."""
    board = board_of(folder, pid)
    if killed := read_cells(board).get("killed"):
        total = folder / wire.KILLED_FILE
        before = int(total.read_text()) if total.exists() else 0
        total.write_text(str(before + killed))
    with suppress(FileNotFoundError):
        board.unlink()
