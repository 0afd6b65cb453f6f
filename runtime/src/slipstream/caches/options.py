"""What a CACHES entry may say: read once, refused with the nearest valid name when it says anything else."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from django.core.exceptions import ImproperlyConfigured

# Django's own arguments of a CACHES entry (BaseCache), less the two that bound a cache by entries: a server is
# bounded by its memory.
ENTRY_NAMES = frozenset({"BACKEND", "LOCATION", "TIMEOUT", "KEY_PREFIX", "VERSION", "KEY_FUNCTION", "OPTIONS"})
BOUNDED_BY_SERVER = frozenset({"MAX_ENTRIES", "CULL_FREQUENCY"})


@dataclass(frozen=True, slots=True)
class CacheOptions:
    """The OPTIONS that every backend of slipstream takes, with their defaults."""

    timeout_seconds: float = 0.05  # for one operation, connecting included; a local answer takes under 1 ms
    failures_before_ejection: int = 3  # blueprint C2
    retry_seconds: float = 30.0  # blueprint C2
    jitter: float = 0.2  # blueprint C3: a value expires between 80% and 100% of its lifetime
    grace_seconds: float = 60.0  # how long an expired value is kept as the previous one
    wait_seconds: float = 2.0  # how long to wait for another process's value when there is no previous one
    claim_seconds: float = 10.0  # after which the claim of a process that died is void
    pass_seconds: float = 10.0  # a page that turned out not to be cacheable is not waited for this long
    compress_above_bytes: int = 4096
    strict: bool = False  # raise CacheUnavailable instead of missing
    connection: Mapping[str, Any] = field(default_factory=dict)  # what the product's own client is told


def read_options(entry: Mapping[str, Any], connection_names: frozenset[str], backend: str) -> CacheOptions:
    """Return the frozen options of a CACHES entry; raises ImproperlyConfigured that names the nearest valid name."""
    for name in entry:
        if str(name).upper() not in ENTRY_NAMES:
            _refuse(str(name), f"CACHES entry of {backend}", sorted(ENTRY_NAMES))
    written = entry.get("OPTIONS") or {}
    own = {option.name: option for option in fields(CacheOptions) if option.name != "connection"}
    known = sorted([*own, *connection_names])
    for name in written:
        if name not in known:
            _refuse(str(name), f"OPTIONS of {backend}", known)
    values = {name: _typed(name, value, backend) for name, value in written.items() if name in own}
    return CacheOptions(**values, connection={name: value for name, value in written.items() if name in connection_names})


def read_servers(location: Any, default: str, backend: str) -> tuple[str, ...]:
    """Return the servers of a LOCATION: one string, several parted by commas or semicolons, or a list."""
    written = re.split("[;,]", location) if isinstance(location, str) else list(location)
    servers = tuple(str(server).strip() for server in written if str(server).strip()) or (default,)
    if len(set(servers)) != len(servers):
        raise ImproperlyConfigured(f"LOCATION of {backend} names a server twice: {', '.join(servers)}. Name each once.")
    return servers


def _typed(name: str, value: Any, backend: str) -> Any:
    wanted = type(getattr(CacheOptions(), name))
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    lowest = 1 if name == "failures_before_ejection" else 0
    if wanted is bool:
        if isinstance(value, bool):
            return value
    elif is_number and value >= lowest and (wanted is float or float(value).is_integer()):
        is_in_range = (name != "jitter" or value < 1) and (name != "timeout_seconds" or value > 0)
        if is_in_range:
            return wanted(value)
    described = {bool: "True or False", int: f"a whole number from {lowest}", float: "a number from 0"}[wanted]
    if name == "jitter":
        described = "a fraction from 0 to below 1"
    elif name == "timeout_seconds":
        described = "a number above 0"
    raise ImproperlyConfigured(f"OPTIONS of {backend}: {name} is {value!r}; it must be {described}.")


def _refuse(name: str, place: str, known: list[str]) -> None:
    if name.upper() in BOUNDED_BY_SERVER:
        raise ImproperlyConfigured(
            f"{place}: {name} has no effect on a server, which is bounded by its memory (maxmemory, -m). Remove it."
        )
    nearest = difflib.get_close_matches(name, known, n=1, cutoff=0.4) or difflib.get_close_matches(name.lower(), known, 1, 0.4)
    hint = f"Did you mean {nearest[0]}?" if nearest else f"Known are {', '.join(known)}."
    raise ImproperlyConfigured(f"{place}: {name} is not known. {hint}")
