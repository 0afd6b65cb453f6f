"""Logs go to stderr as JSON lines; the process manager keeps and rotates them (blueprint D2, N2)."""

from __future__ import annotations

import copy
from typing import Any

from slipstream.overlay.change import Change, Settings, change, value_of
from slipstream.overlay.offer import Offer

HANDLER = "slipstream"
FORMATTER = "slipstream"
WHY = "JSON lines with the request id on stderr; no mail per traceback and no log files; levels as the project has them"

STREAMS = ("logging.StreamHandler", "rich.logging.RichHandler", "colorlog.StreamHandler")
DROPPED = ("AdminEmailHandler", "SMTPHandler", "FileHandler")
"""By the end of the class name: RotatingFileHandler, TimedRotatingFileHandler and WatchedFileHandler among them."""

DEBUG_FILTERS = ("RequireDebugTrue", "RequireDebugFalse")


def log_to_stderr(settings: Settings, offer: Offer) -> list[Change]:
    """Handlers for the terminal write JSON to stderr, those for mail and files go, all others (Sentry, syslog) stay."""
    if value_of(settings, "LOGGING_CONFIG") is None:
        return []  # the project configures logging by itself, when and how only it knows
    before = value_of(settings, "LOGGING") or {}
    return change(settings, "LOGGING", convert(before), WHY)


def convert(before: dict[str, Any]) -> dict[str, Any]:
    after = {"version": 1, **copy.copy(before), "disable_existing_loggers": False}
    after.pop("incremental", None)
    filters = before.get("filters", {})
    handlers = {
        name: as_json(handler, filters) if is_stream(handler) else handler
        for name, handler in before.get("handlers", {}).items()
        if not is_dropped(handler)
    }
    streams = {name for name, handler in handlers.items() if handler.get("formatter") == FORMATTER}
    root = dict(before.get("root", {}))
    root["handlers"] = [name for name in root.get("handlers", ()) if name in handlers]
    root.setdefault("level", "INFO")
    added = not streams & set(root["handlers"])
    kept_at_root = list(root["handlers"])
    if added:
        handlers[HANDLER] = {"class": "logging.StreamHandler", "formatter": FORMATTER, "stream": "ext://sys.stderr"}
        root["handlers"].append(HANDLER)

    # Django's own configuration comes first and mails administrators: an empty entry of the same name takes that back.
    loggers: dict[str, dict[str, Any]] = {"django": {}, "django.server": {}}
    for name, logger in {**loggers, **before.get("loggers", {})}.items():
        kept = [handler for handler in logger.get("handlers", ()) if handler in handlers]
        converted = {**logger, "handlers": kept}
        if added and streams & set(kept) and logger.get("propagate", True):
            # The handler added to the root would write each line a second time.
            converted |= {"propagate": False, "handlers": kept + [one for one in kept_at_root if one not in kept]}
        elif not kept:
            converted["propagate"] = True
        if name == "django":
            converted.setdefault("level", "INFO")
        loggers[name] = converted
    return {
        **after,
        "formatters": {**before.get("formatters", {}), FORMATTER: {"()": "slipstream.logs.JsonFormatter"}},
        "handlers": handlers,
        "loggers": loggers,
        "root": root,
    }


def class_of(definition: dict[str, Any]) -> str:
    factory = definition.get("class") or definition.get("()") or ""
    return factory if isinstance(factory, str) else getattr(factory, "__qualname__", "")


def is_stream(handler: dict[str, Any]) -> bool:
    return class_of(handler) in STREAMS


def is_dropped(handler: dict[str, Any]) -> bool:
    return class_of(handler).endswith(DROPPED)


def as_json(handler: dict[str, Any], filters: dict[str, Any]) -> dict[str, Any]:
    """The handler with its level and filters; one that spoke in DEBUG only would be silent now, so that filter goes."""
    kept = [name for name in handler.get("filters", ()) if not class_of(filters.get(name, {})).endswith(DEBUG_FILTERS)]
    changed = {"class": "logging.StreamHandler", "formatter": FORMATTER, "stream": "ext://sys.stderr"}
    if "level" in handler:
        changed["level"] = handler["level"]
    return {**changed, "filters": kept} if kept else changed
