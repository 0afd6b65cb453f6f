"""Named lifetimes of cached content: short, middle, long and forever mean the same everywhere and are changed in one place.

The place is the setting SLIPSTREAM["LIFETIMES"], in seconds: {"short": 300}. A name added there can be used like the others.
A name works wherever a cache of slipstream takes a timeout, in `{% fragment ... lifetime="short" %}`, in
`{% cache "short"|lifetime name %}`, and as `to_seconds("short")` where plain Django wants a number.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from django.conf import settings

# Blueprint C4.
DEFAULT_LIFETIMES: Mapping[str, int] = {"short": 600, "middle": 1800, "long": 3600, "forever": 7 * 86400}


class UnknownLifetime(ValueError):
    """A lifetime was named that nobody defined."""


def all_lifetimes() -> dict[str, float]:
    """Return every named lifetime in seconds, the project's own included; raises UnknownLifetime for one that is no number."""
    own = (getattr(settings, "SLIPSTREAM", None) or {}).get("LIFETIMES") or {}
    for name, seconds in own.items():
        if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or seconds <= 0:
            raise UnknownLifetime(f'SLIPSTREAM["LIFETIMES"]["{name}"] is {seconds!r}; it must be a number of seconds above 0.')
    return {**DEFAULT_LIFETIMES, **own}


def to_seconds(lifetime: Any) -> Any:
    """Return a lifetime's seconds; numbers and None (for ever) are returned as they are. Raises UnknownLifetime."""
    if not isinstance(lifetime, str):
        return lifetime
    lifetimes = all_lifetimes()
    if lifetime in lifetimes:
        return lifetimes[lifetime]
    nearest = difflib.get_close_matches(lifetime, lifetimes, n=1)
    hint = f'Did you mean "{nearest[0]}"?' if nearest else f"Known are {', '.join(lifetimes)}."
    raise UnknownLifetime(f'There is no lifetime "{lifetime}". {hint} Lifetimes are defined in SLIPSTREAM["LIFETIMES"].')
