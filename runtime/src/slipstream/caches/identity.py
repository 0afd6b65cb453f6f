"""What tells one piece of cached content from another: values as they are, model instances by key and last modification."""

from __future__ import annotations

import datetime
import decimal
import enum
import re
import uuid
from collections.abc import Iterable, Mapping
from functools import cache
from hashlib import blake2b
from typing import Any

from django.db import models
from django.db.models.query import QuerySet
from django.utils.functional import LazyObject, Promise

# Looked for in this order when no field is declared auto_now.
LAST_MODIFIED_NAMES = (
    "last_modified",
    "modified_at",
    "updated_at",
    "modified",
    "updated",
    "last_modified_at",
    "modified_on",
    "updated_on",
    "last_updated",
    "changed_at",
    "changed",
    "date_modified",
    "date_updated",
)
READABLE_NAME = re.compile(r"[\w.<>-]{1,80}", re.ASCII)
PLAIN = (str, int, float, bool, bytes, decimal.Decimal, datetime.date, datetime.time, datetime.timedelta, uuid.UUID)


class CannotIdentify(ValueError):
    """A value was given to identify cached content that says nothing stable about it."""


def identify(value: Any) -> str:
    """Return a text that is the same for the same content and another for another; raises CannotIdentify.

    A model instance is its model, primary key and last modification: what its `cache_version` attribute or method
    says, else its auto_now field, else the first date-and-time field named as one (LAST_MODIFIED_NAMES). Lists,
    tuples, sets, dictionaries and querysets are what they contain.
    """
    kind = type(value)
    if kind is str or kind is int or value is None or kind is bool:
        return f"{kind.__name__[0]}{value}"
    if isinstance(value, LazyObject):
        return identify(_unwrap(value))
    if isinstance(value, models.Model):
        return identify_instance(value)
    if isinstance(value, Promise):
        return f"s{value}"
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name}"
    if isinstance(value, PLAIN):
        return f"{type(value).__name__}:{value!r}" if not isinstance(value, str) else f"s{value}"
    if isinstance(value, Mapping):
        return "{" + digest_of(f"{identify(key)}={identify(value[key])}" for key in sorted(value, key=str)) + "}"
    if isinstance(value, (set, frozenset)):
        return "<" + digest_of(sorted(map(identify, value))) + ">"
    if isinstance(value, (list, tuple, QuerySet)):
        return "[" + digest_of(map(identify, value)) + "]"
    if getattr(value, "is_anonymous", False) is True:
        return "anonymous"
    if hasattr(value, "cache_version"):
        return f"{type(value).__qualname__}:{_called(value.cache_version)}"
    raise CannotIdentify(
        f"a {type(value).__module__}.{type(value).__qualname__} does not say what it is. Give a plain value, a model instance, "
        "a list of these, or an object with a cache_version attribute."
    )


def identify_instance(instance: models.Model) -> str:
    """Return model, primary key and last modification of an instance; raises CannotIdentify when one is wanting."""
    label = instance._meta.label_lower
    if instance.pk is None:
        raise CannotIdentify(f"a {label} without a primary key, so it was not saved. Save it first, or give the values it shows.")
    if hasattr(instance, "cache_version"):
        return f"{label}:{instance.pk}:{_called(instance.cache_version)}"
    field = last_modified_field(type(instance))  # type: ignore[arg-type]
    if field is None:
        raise CannotIdentify(
            f"{label} has no last-modified field, so a change would not be seen. Add a DateTimeField(auto_now=True), a "
            f"cache_version attribute, or give {label.rpartition('.')[2]}.pk and accept the fragment's lifetime."
        )
    modified = getattr(instance, field)
    stamp = modified.timestamp() if isinstance(modified, datetime.datetime) else modified
    return f"{label}:{instance.pk}:{stamp}"


@cache
def last_modified_field(model: type[models.Model]) -> str | None:
    """Return the name of the field that says when an instance was last changed, or None."""
    fields = [field for field in model._meta.concrete_fields if isinstance(field, models.DateTimeField)]
    declared = [field.attname for field in fields if field.auto_now]
    if declared:
        return str(declared[0])
    names = {field.attname for field in fields}
    return next((name for name in LAST_MODIFIED_NAMES if name in names), None)


def digest_of(parts: Iterable[str]) -> str:
    """Return a short digest of texts, in which each keeps its own bounds."""
    digest = blake2b(digest_size=16)
    for part in parts:
        encoded = part.encode("utf-8", "surrogatepass")
        digest.update(b"%d:%b" % (len(encoded), encoded))
    return digest.hexdigest()


def readable(name: str) -> str:
    """Return a name for people to find in a key, or nothing if a cache server would not take it there."""
    return name if READABLE_NAME.fullmatch(name) else ""


def _called(version: Any) -> Any:
    return version() if callable(version) else version


def _unwrap(lazy: Any) -> Any:
    bool(lazy)  # evaluates it
    return lazy.__dict__["_wrapped"]
