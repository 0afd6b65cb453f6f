"""Refresh ahead: a registered value is recomputed by a worker, on a signal or a timer, and readers only ever read.

A reader never computes: where nothing was stored yet it gets the default and asks for a refresh. The worker is Celery
where the project has it (the task `slipstream.refresh`, on the timer of `beat_schedule()`), else `watch()`, which is what
`python -m slipstream.refresh` runs: one process on any host. Values live in apps' modules named refreshed.py, or
wherever else the process imports.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from django.core.cache import caches
from django.db import transaction
from django.dispatch import Signal

from slipstream.caches.identity import digest_of, readable
from slipstream.lifetimes import to_seconds

T = TypeVar("T")
logger = logging.getLogger("slipstream.refresh")

TASK_NAME = "slipstream.refresh"
RUNNING_SECONDS = 600  # after which another worker may take over a refresh whose worker died
POLL_SECONDS = 1.0

_registered: dict[str, Refreshed[Any]] = {}


class UnknownRefresh(KeyError):
    """A refresh was named that nobody registered in this process."""


class Refreshed(Generic[T]):
    """A value that a worker keeps fresh. Calling it reads; `refresh()` computes; `request()` asks a worker to."""

    def __init__(
        self, function: Callable[[], T], name: str, every_seconds: float | None, lifetime: Any, cache: str, default: Any
    ) -> None:
        self.compute = function
        self.name = name
        self.every_seconds = every_seconds
        self._lifetime = lifetime
        self._cache = cache
        self._default = default
        self.__doc__ = function.__doc__

    def __call__(self) -> T | Any:
        """Return the stored value, or the default while there is none. One cache read; never computes."""
        stored = caches[self._cache].get(self._key("value"))
        if stored is None:
            self.request()
            return self._default
        return stored[1]

    def refresh(self) -> None:
        """Compute and store the value; what makes the computation fail is raised and leaves the old value in place."""
        # Taken away first: what asks from now on may know of changes that this computation has not seen.
        caches[self._cache].delete(self._key("requested"))
        computed_at = time.time()
        value = self.compute()
        caches[self._cache].set(self._key("value"), (computed_at, value), to_seconds(self._lifetime))

    def request(self) -> None:
        """Ask a worker for a refresh; however often it is asked for before one begins, there is one."""
        if caches[self._cache].add(self._key("requested"), True, RUNNING_SECONDS):
            task = celery_task()
            if task is not None:
                try:
                    task.apply_async((self.name,), retry=False)
                except Exception as error:  # a lost broker must not fail the request that changed something
                    logger.warning("refresh of %s could not be sent to Celery (%s); the timer will do it", self.name, error)

    def refresh_if_due(self) -> bool:
        """Refresh if asked for or if its time has come, unless another worker is at it; say whether this one did."""
        cache = caches[self._cache]
        found = cache.get_many([self._key("value"), self._key("requested")])
        stored = found.get(self._key("value"))
        is_old = stored is None or (self.every_seconds is not None and time.time() >= stored[0] + self.every_seconds)
        if not (is_old or self._key("requested") in found):
            return False
        if not cache.add(self._key("running"), True, RUNNING_SECONDS):
            return False
        try:
            self.refresh()
        finally:
            cache.delete(self._key("running"))
        return True

    def on_signal(self, sender: Any = None, **kwargs: Any) -> None:
        """Receive a signal: request a refresh, after the commit if the signal comes from a model's write."""
        if kwargs.get("using"):
            transaction.on_commit(self.request, using=kwargs["using"])
        else:
            self.request()

    def _key(self, kind: str) -> str:
        return f"refresh:{readable(self.name)}:{digest_of([self.name])}:{kind}"


def refreshed(
    *,
    every: Any = None,
    on: Iterable[Signal | tuple[Signal, Any]] = (),
    lifetime: Any = "forever",
    name: str | None = None,
    cache: str = "default",
    default: Any = None,
) -> Callable[[Callable[[], T]], Refreshed[T]]:
    """Register a function without arguments as a value that a worker keeps fresh.

    `every` is its timer (seconds or the name of a lifetime), `on` are signals, alone or as (signal, sender); without
    either it is refreshed once and when asked. `default` is what readers get while there is no value yet.
    """

    def register(function: Callable[[], T]) -> Refreshed[T]:
        label = name or f"{function.__module__}.{function.__qualname__}"
        value = Refreshed(function, label, to_seconds(every), lifetime, cache, default)
        if label in _registered and _registered[label].compute.__code__ is not function.__code__:
            raise ValueError(f"Two refreshed values are named {label}; give one of them another name.")
        _registered[label] = value
        for source in on:
            signal, sender = source if isinstance(source, tuple) else (source, None)
            signal.connect(value.on_signal, sender=sender, weak=False)
        return value

    return register


def refresh(name: str) -> None:
    """Compute and store one registered value; raises UnknownRefresh."""
    if name not in _registered:
        raise UnknownRefresh(f"No refreshed value is named {name!r}; there are {', '.join(sorted(_registered)) or 'none'}.")
    _registered[name].refresh()


def refresh_due() -> list[str]:
    """Refresh whatever is due and return the names; a value that fails is logged and tried again next time."""
    done = []
    for name, value in list(_registered.items()):
        try:
            if value.refresh_if_due():
                done.append(name)
        except Exception:  # one value must not keep the others from being refreshed
            logger.exception("refresh of %s failed; its old value stays", name)
    return done


def watch(poll_seconds: float = POLL_SECONDS, is_over: Callable[[], bool] = lambda: False) -> None:
    """Refresh what is due, again and again, until `is_over()`."""
    while not is_over():
        refresh_due()
        time.sleep(poll_seconds)


def celery_task() -> Any:
    """Return the Celery task that refreshes a value by name, or None where Celery is not installed or has no broker."""
    global _task
    if importlib.util.find_spec("celery") is None:
        return None
    from celery import current_app, shared_task

    if _task is None:
        _task = shared_task(name=TASK_NAME, ignore_result=True)(refresh)
    return _task if current_app.conf.broker_url or current_app.conf.broker_write_url else None


def beat_schedule() -> Mapping[str, Mapping[str, Any]]:
    """Return entries for Celery's beat_schedule, one for each value with a timer."""
    return {
        f"{TASK_NAME} {name}": {"task": TASK_NAME, "schedule": value.every_seconds, "args": (name,)}
        for name, value in _registered.items()
        if value.every_seconds is not None
    }


_task: Any = None


def main() -> None:
    """Run the worker for projects without Celery: python -m slipstream.refresh [--once]."""
    parser = argparse.ArgumentParser(prog="python -m slipstream.refresh", description=main.__doc__)
    parser.add_argument("--once", action="store_true", help="refresh what is due and end")
    options = parser.parse_args()
    import django
    from django.utils.module_loading import autodiscover_modules

    django.setup()
    autodiscover_modules("refreshed")
    if options.once:
        print("\n".join(refresh_due()) or "nothing was due")
        return
    watch()


if __name__ == "__main__":
    # The module under its own name, not __main__: the values register there.
    importlib.import_module("slipstream.refresh").main()
