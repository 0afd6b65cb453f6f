"""The one kind of error a user sees: what was being done, what was found, what to do next."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class Complaint(Exception):
    """Something the user can act on. ``str()`` is the sentence; ``detail`` is quoted output, if any."""

    def __init__(self, doing: str, found: str, next_step: str = "", detail: str = "") -> None:
        self.doing, self.found, self.next_step, self.detail = doing, found, next_step, detail
        sentences = [f"While {doing}: {found}", next_step] if next_step else [f"While {doing}: {found}"]
        super().__init__(" ".join(text if text.endswith(("?", "!")) else text.rstrip(".") + "." for text in sentences))


def nearest(word: str, candidates: Iterable[str]) -> str | None:
    """The candidate that a mistyped ``word`` most likely meant, or None when nothing comes near."""
    matches = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.5)
    return matches[0] if matches else None
