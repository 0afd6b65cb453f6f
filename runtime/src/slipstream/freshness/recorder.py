"""Collects what a build reads (tags), who may share it (audience) and what stands in the way, from everything read inside it."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

EVERYONE = "everyone"
ANONYMOUS = "anonymous"
"""Audiences beside one person's, whose name is whatever identifies the person."""

MOST_REASONS = 20  # what is told to the developer; a page with a thousand untracked queries says it twenty times


@dataclass(slots=True)
class Recorder:
    """What one build has read so far. `epoch` is the store's when the build began: tags are named by what was installed then.

    `obstacles` forbid storing or sharing the build; `longest_seconds` caps its lifetime (None: no cap).
    """

    epoch: str | None = None
    tags: set[str] = field(default_factory=set)
    audience: str = EVERYONE
    obstacles: list[str] = field(default_factory=list)
    longest_seconds: float | None = None
    foreign_reads_before: int = 0

    @property
    def may_be_kept(self) -> bool:
        """False once something was read that no tag names, also by a thread that lost its recorder meanwhile."""
        return not self.obstacles and not self.has_foreign_reads

    @property
    def has_foreign_reads(self) -> bool:
        return _foreign_reads.value != self.foreign_reads_before

    def add(self, tags: Iterable[str]) -> None:
        self.tags.update(tags)

    def refuse(self, reason: str) -> None:
        """Nothing built here may be kept, because of `reason`."""
        if reason not in self.obstacles and len(self.obstacles) < MOST_REASONS:
            self.obstacles.append(reason)

    def cap(self, seconds: float) -> None:
        """The build is true for `seconds` at most, whatever is written."""
        self.longest_seconds = seconds if self.longest_seconds is None else min(self.longest_seconds, seconds)

    def narrow(self, audience: str) -> None:
        """Restrict who may share the build; parts for two different persons make it nobody's."""
        if audience in (EVERYONE, self.audience):
            return
        if self.audience not in (EVERYONE, ANONYMOUS):
            self.refuse("it holds parts for different audiences")
        elif audience != ANONYMOUS:
            self.audience = audience
        else:
            self.audience = ANONYMOUS

    def absorb(self, part: Recorder) -> None:
        """A part of this build was built: what holds for it holds for the whole."""
        self.add(part.tags)
        self.narrow(part.audience)
        for reason in part.obstacles:
            self.refuse(reason)
        if part.longest_seconds is not None:
            self.cap(part.longest_seconds)


class _Count:
    """Reads in this process that happened outside any recorder. A C counter: atomic without a lock."""

    def __init__(self) -> None:
        self._next = itertools.count(1)
        self.value = 0

    def raise_by_one(self) -> None:
        self.value = next(self._next)


_foreign_reads = _Count()
_current: ContextVar[Recorder | None] = ContextVar("slipstream_recorder", default=None)


def current_recorder() -> Recorder | None:
    """The innermost recorder of this context (thread or task), or None."""
    return _current.get()


@contextmanager
def record(epoch: str | None = None, *, bubbles: bool = True) -> Iterator[Recorder]:
    """Record everything read inside; at the end it is added to the recorder outside as well, also after an exception.

    A request opens the outermost one. Tasks and `sync_to_async` inherit it; a thread started inside does not, and what such a
    thread reads makes every build of this process that is under way unshareable.
    """
    outer = _current.get()
    if epoch is None and outer is not None:
        epoch = outer.epoch
    recorder = Recorder(epoch=epoch, foreign_reads_before=_foreign_reads.value)
    token = _current.set(recorder)
    try:
        yield recorder
    finally:
        _current.reset(token)
        if bubbles and outer is not None:
            outer.absorb(recorder)


def note_read(tags: Iterable[str]) -> None:
    """Something with these tags was read here."""
    recorder = _current.get()
    if recorder is None:
        _foreign_reads.raise_by_one()
    else:
        recorder.add(tags)


def note_obstacle(reason: str) -> None:
    """Something was read that cannot be named."""
    recorder = _current.get()
    if recorder is None:
        _foreign_reads.raise_by_one()
    else:
        recorder.refuse(reason)


def note_lifetime(seconds: float) -> None:
    """Something was read that changes by itself after `seconds`."""
    recorder = _current.get()
    if recorder is not None:
        recorder.cap(seconds)
