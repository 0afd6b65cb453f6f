"""The project's settings, then every subject's changes in order: the settings that are in force."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from slipstream import wire
from slipstream.overlay import applications, caches, databases, logs, mail, security, sessions, site, static, tasks, templates
from slipstream.overlay.change import Change, Settings
from slipstream.overlay.offer import Offer, read_offer

Subject = Callable[[Settings, Offer], list[Change]]

SUBJECTS: tuple[Subject, ...] = (
    site.switch_debug_off,
    site.allow_hosts,
    applications.install_runtime,
    applications.enter_first,
    applications.configure_runtime,
    templates.cache_templates,
    databases.place_databases,
    caches.place_caches,
    sessions.keep_sessions,
    logs.log_to_stderr,
    security.trust_edge,
    mail.catch_mail,
    static.collect_beside_state,
    tasks.place_queues,
)
"""Applied in this order: caches come before the sessions that are kept in one of them."""


@dataclass(frozen=True)
class Resolution:
    settings: dict[str, Any]
    changes: tuple[Change, ...]


def read_settings(module: ModuleType) -> dict[str, Any]:
    """All upper-case names, those included that the module defines lazily (``__dir__`` with ``__getattr__``)."""
    return {name: getattr(module, name) for name in dir(module) if name.isupper()}


def resolve(project: Settings, offer: Offer) -> Resolution:
    settings = dict(project)
    changes: list[Change] = []
    for subject in SUBJECTS:
        for one in subject(MappingProxyType(settings), offer):
            settings[one.name] = one.after
            changes.append(one)
    return Resolution(settings, tuple(changes))


def resolve_from_environment() -> Resolution:
    """Import the module that ``SLIPSTREAM_SETTINGS`` names and apply the document ``SLIPSTREAM_OVERLAY`` (none: no changes)."""
    project = read_settings(import_module(os.environ[wire.SETTINGS_VARIABLE]))
    document = os.environ.get(wire.OVERLAY_VARIABLE)
    return resolve(project, read_offer(Path(document))) if document else Resolution(project, ())
