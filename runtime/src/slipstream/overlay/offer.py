"""What the stack offers to the project's settings: the overlay document, read once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from slipstream import wire


@dataclass(frozen=True)
class DatabaseOffer:
    """The stack's own database. ``pool_max``: most connections of one process. ``statement_seconds``: limit of a request's
    statements where each connection sets it itself; None where the server does."""

    name: str
    user: str
    password: str = field(repr=False)
    host: str = ""
    port: int = 5432
    alias: str = "default"
    engine: str = "django.db.backends.postgresql"
    pool_max: int = 1
    statement_seconds: int | None = None


@dataclass(frozen=True)
class MailOffer:
    host: str
    port: int


@dataclass(frozen=True)
class Offer:
    """The document of ``wire.OVERLAY_KEYS``; what is None is left as the project has it."""

    mode: str = "respect"
    keeps_debug: bool = False
    hosts: tuple[str, ...] = ("localhost",)
    https_port: int = 443
    cache_urls: tuple[str, ...] = field(default=(), repr=False)
    database: DatabaseOffer | None = None
    broker_url: str | None = field(default=None, repr=False)
    mail: MailOffer | None = None
    static_root: str | None = None
    project_root: str = ""
    bypass_secret: str = field(default="", repr=False)


def read_offer(path: Path) -> Offer:
    """The offer in the JSON document at ``path``. RuntimeError when the tool that wrote it speaks another protocol."""
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("protocol") != wire.PROTOCOL:
        raise RuntimeError(
            f"The overlay document {path} has protocol {document.get('protocol')}, this runtime ({wire.VERSION}) speaks "
            f"{wire.PROTOCOL}. Install the same version of slipstream and slipstream-ops."
        )
    return parse_offer(document)


def parse_offer(document: Mapping[str, Any]) -> Offer:
    cache, database = document.get("cache"), document.get("database")
    broker, mail = document.get("broker"), document.get("mail")
    return Offer(
        mode=document.get("mode", "respect"),
        keeps_debug=bool(document.get("debug", False)),
        hosts=tuple(document.get("hosts", ("localhost",))),
        https_port=int(document.get("https_port", 443)),
        cache_urls=tuple(cache["urls"]) if cache else (),
        database=DatabaseOffer(**{key: value for key, value in database.items() if value is not None}) if database else None,
        broker_url=broker["url"] if broker else None,
        mail=MailOffer(mail["host"], int(mail["port"])) if mail else None,
        static_root=document.get("static_root") or None,
        project_root=document.get("project_root", ""),
        bypass_secret=document.get("bypass_secret", ""),
    )
