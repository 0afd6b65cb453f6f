"""Visitors for tests: several threads that ask for pages until told to stop, and remember every answer that was not good."""

from __future__ import annotations

import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
from sites import Site


@dataclass
class Visits:
    """What the visitors met. ``failures`` holds a description of each GET that failed or answered 5xx."""

    answers: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def count(self) -> int:
        return sum(self.answers.values()) + len(self.failures)

    def wait_for_more(self, count: int, timeout_seconds: float = 60) -> None:
        """Return once ``count`` further requests were answered, so that what follows happens under load."""
        target = self.count + count
        deadline = time.monotonic() + timeout_seconds
        while self.count < target:
            assert time.monotonic() < deadline, (
                f"only {self.count} of {target} requests in {timeout_seconds} s; failures: {self.failures[:3]}"
            )
            time.sleep(0.01)


@contextmanager
def visiting(
    site: Site, paths: Sequence[str], visitors: int = 4, pause_seconds: float = 0.01, cookies: dict[str, str] | None = None
) -> Iterator[Visits]:
    """Visitors ask for ``paths`` in turn while the block runs; each keeps its connection as a browser does."""
    visits, stop = Visits(), threading.Event()

    def browse(offset: int) -> None:
        pages = itertools.islice(itertools.cycle(paths), offset, None)
        with site.visitor(cookies=cookies) as client:
            for path in pages:
                if stop.is_set():
                    return
                try:
                    answer = client.get(path)
                except httpx.HTTPError as error:
                    with visits.lock:
                        visits.failures.append(f"{time.strftime('%X')} {path}: {type(error).__name__} {error}")
                    continue
                with visits.lock:
                    visits.answers[answer.status_code] += 1
                    if answer.status_code >= 500:
                        visits.failures.append(f"{time.strftime('%X')} {path}: {answer.status_code} {answer.text[:80]!r}")
                stop.wait(pause_seconds)

    threads = [threading.Thread(target=browse, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        yield visits
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
