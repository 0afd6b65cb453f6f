"""Templates are compiled once per process, not at each request."""

from __future__ import annotations

from typing import Any

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

BACKEND = "django.template.backends.django.DjangoTemplates"
CACHED = "django.template.loaders.cached.Loader"


def cache_templates(settings: Settings, offer: Offer) -> list[Change]:
    """Wrap loaders that a project lists without the cached one; Django adds it by itself where none are listed.

    A project that is kept in DEBUG keeps its loaders, so that an edited template shows.
    """
    if offer.keeps_debug and value_of(settings, "DEBUG"):
        return []
    engines = [with_cached_loader(engine) for engine in value_of(settings, "TEMPLATES")]
    return change(settings, "TEMPLATES", engines, "templates are compiled once per process (cached loader)")


def with_cached_loader(engine: dict[str, Any]) -> dict[str, Any]:
    options = dict(engine.get("OPTIONS", {}))
    if engine.get("BACKEND") != BACKEND:
        return engine
    if options.get("debug"):
        options["debug"] = False
    loaders = options.get("loaders")
    if loaders and not any(name_of(loader) == CACHED for loader in loaders):
        options["loaders"] = [(CACHED, list(loaders))]
    return engine if options == engine.get("OPTIONS", {}) else {**engine, "OPTIONS": options}


def name_of(loader: Any) -> str:
    return loader if isinstance(loader, str) else str(loader[0])
