"""Why data cannot be moved: one sentence for the user, and the rows it is about."""

from __future__ import annotations

from collections.abc import Sequence

MOST_SHOWN = 20
"""Rows named one by one; a whole column that does not fit would fill the screen."""


class Trouble(Exception):
    """Nothing was copied. ``str()`` says what was found and what to do next; ``details`` name tables, rows and columns."""

    def __init__(self, found: str, next_step: str, details: Sequence[str] = ()) -> None:
        super().__init__(f"{found.rstrip('.')}. {next_step.rstrip('.')}.")
        self.details = list(details)
