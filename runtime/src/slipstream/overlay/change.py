"""One change that the overlay makes to a project's settings, with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Settings = Mapping[str, Any]
"""Names and values of the settings so far, the project's own at first."""


class _Unset:
    def __repr__(self) -> str:
        return "unset"


UNSET = _Unset()
"""The ``before`` of a setting that neither the project nor Django names."""


@dataclass(frozen=True)
class Change:
    name: str
    before: Any
    after: Any
    why: str


def value_of(settings: Settings, name: str) -> Any:
    """The project's value, else Django's default, else ``UNSET``."""
    from django.conf import global_settings

    return settings[name] if name in settings else getattr(global_settings, name, UNSET)


def change(settings: Settings, name: str, after: Any, why: str) -> list[Change]:
    """The change of ``name`` to ``after``; none when it has that value already."""
    before = value_of(settings, name)
    return [] if before is not UNSET and before == after else [Change(name, before, after, why)]
