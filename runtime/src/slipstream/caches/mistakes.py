"""Mistakes of the programmer about cached content: said plainly in development, survived and logged once in production."""

from __future__ import annotations

import logging
import pickle
from typing import Any

from django.conf import settings

logger = logging.getLogger("slipstream.caches")
_logged: set[str] = set()


class Unpicklable(pickle.PicklingError):
    """The value of a key has no pickle."""

    def __init__(self, key: Any, value: Any, reason: Exception) -> None:
        super().__init__(
            f"cache key {key!r}: a {type(value).__module__}.{type(value).__qualname__} cannot be stored ({reason}). "
            "Store plain data (values, ids, text) in its place."
        )


def raise_or_log_once(mistake: Exception) -> None:
    """Raise a mistake of the programmer when DEBUG is on; else log it, each text once in the life of the process."""
    if settings.DEBUG:
        raise mistake
    text = str(mistake)
    if text not in _logged and len(_logged) < 1000:
        _logged.add(text)
        logger.error("%s The content is made anew each time.", text)
