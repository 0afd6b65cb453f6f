"""The runtime's own settings, read once from the ``SLIPSTREAM`` dictionary of the settings into a frozen object."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache
from typing import Any

from django.core.exceptions import ImproperlyConfigured

MODES = ("observe", "respect", "fresh")


@dataclass(frozen=True)
class RuntimeSettings:
    """Keys of ``SLIPSTREAM`` in capitals; the overlay writes them, a project that has the runtime installed may itself."""

    mode: str = "respect"  # how much is shared: see MODES
    lifetimes: Mapping[str, float] = field(default_factory=dict)  # named lifetimes in seconds, see ``slipstream.lifetimes``
    freshness: Mapping[str, Any] = field(default_factory=dict)  # see ``slipstream.freshness.configuration``


def read(written: Mapping[str, Any]) -> RuntimeSettings:
    """The settings in ``written``. ImproperlyConfigured names the wrong key, or the wrong value, and what was meant."""
    known = {one.name.upper(): one.name for one in fields(RuntimeSettings)}
    for key in written:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f'Did you mean "{near[0]}"?' if near else f"Known: {', '.join(known)}."
            raise ImproperlyConfigured(f'SLIPSTREAM["{key}"] is not a setting of slipstream. {hint}')
    settings = RuntimeSettings(**{known[key]: value for key, value in written.items()})
    if settings.mode not in MODES:
        raise ImproperlyConfigured(f'SLIPSTREAM["MODE"] is {settings.mode!r}; write one of {", ".join(MODES)}.')
    return settings


@cache
def runtime_settings() -> RuntimeSettings:
    """Those in force; read at the first call."""
    from django.conf import settings

    return read(getattr(settings, "SLIPSTREAM", {}))
