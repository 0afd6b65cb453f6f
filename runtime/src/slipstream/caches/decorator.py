"""A function whose results are cached: computed once across processes, kept for a named lifetime, forgotten on request."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT

from slipstream.caches.identity import CannotIdentify, digest_of, identify, readable
from slipstream.caches.mistakes import Unpicklable, raise_or_log_once

P = ParamSpec("P")
R = TypeVar("R")


def cached(
    lifetime: Any = DEFAULT_TIMEOUT, *, name: str | None = None, cache: str = "default"
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Cache what a function or coroutine function returns, by its arguments, for a lifetime ("short", seconds, None for ever).

    Arguments are told apart as in a fragment: plain values as they are, model instances by primary key and last
    modification. The name in the key is the function's own (module and qualified name) unless given. The decorated
    function offers `key(*args)`, and `forget(*args)` to drop one result. An argument that cannot be identified
    raises CannotIdentify when DEBUG is on; else the function is called uncached and that is logged once.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        label = name or f"{function.__module__}.{function.__qualname__}"
        signature = inspect.signature(function)

        def key(*args: Any, **kwargs: Any) -> str:
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            try:
                parts = [f"{parameter}={identify(value)}" for parameter, value in bound.arguments.items()]
            except CannotIdentify as mistake:
                raise CannotIdentify(f"@cached {label}(): {mistake}") from None
            return f"cached:{readable(label)}:{digest_of([label, *parts])}"

        def key_or_mistake(args: Any, kwargs: Any) -> str | None:
            try:
                return key(*args, **kwargs)
            except CannotIdentify as mistake:
                raise_or_log_once(mistake)
                return None

        def forget(*args: Any, **kwargs: Any) -> bool:
            return bool(caches[cache].delete(key(*args, **kwargs)))

        if inspect.iscoroutinefunction(function):

            @functools.wraps(function)
            async def read_async(*args: P.args, **kwargs: P.kwargs) -> Any:
                call = functools.partial(function, *args, **kwargs)
                if (found := key_or_mistake(args, kwargs)) is None:
                    return await call()
                return await caches[cache].aget_or_set(found, call, lifetime)

            wrapper: Any = read_async
        else:

            @functools.wraps(function)
            def read(*args: P.args, **kwargs: P.kwargs) -> Any:
                call = functools.partial(function, *args, **kwargs)
                if (found := key_or_mistake(args, kwargs)) is None:
                    return call()
                return caches[cache].get_or_set(found, call, lifetime)

            wrapper = read
        wrapper.key = key
        wrapper.forget = forget
        return wrapper  # type: ignore[no-any-return]

    return decorate


__all__ = ["CannotIdentify", "Unpicklable", "cached"]
