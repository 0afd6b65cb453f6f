"""Tells the one who waits how far the generator is: one live line on a terminal, plain lines elsewhere."""

import time
from contextlib import contextmanager

REDRAW_SECONDS = 0.1  # faster than this no eye follows
PLAIN_SECONDS = 15  # in a log, so that a long stage shows that it lives


class Progress:
    """Writes to a stream; `is_terminal` decides between the live line and plain ones."""

    def __init__(self, stream, is_terminal, clock=time.monotonic):
        self.stream, self.is_terminal, self.clock = stream, is_terminal, clock

    @contextmanager
    def stage(self, name, total=None):
        """One stage of the work; yields a function that is told of every further piece done."""
        began = last_shown = self.clock()
        done = 0

        def advance(count=1):
            nonlocal done, last_shown
            done += count
            now = self.clock()
            if now - last_shown >= (REDRAW_SECONDS if self.is_terminal else PLAIN_SECONDS):
                last_shown = now
                self._show(name, done, total, now - began)

        if self.is_terminal:
            self._write(f"\r\x1b[2K  {name} …")
        yield advance
        count = f"{done:>11,}" if done else " " * 11
        line = f"  {name:<16}{count}  {self.clock() - began:6.1f} s"
        self._write(f"\r\x1b[2K{line}\n" if self.is_terminal else f"{line}\n")

    def _show(self, name, done, total, elapsed_seconds):
        of_total = f" of {total:,} ({done / total:.0%})" if total else ""
        line = f"  {name:<16}{done:>11,}{of_total}  {elapsed_seconds:.0f} s"
        self._write(f"\r\x1b[2K{line}" if self.is_terminal else f"{line}\n")

    def _write(self, text):
        self.stream.write(text)
        self.stream.flush()
