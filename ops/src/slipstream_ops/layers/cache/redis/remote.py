"""A Redis that others run, known by its URL: what is sent to it to see that it answers and how it is."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.cache.redis.resp import encode
from slipstream_ops.layers.contract import Exchange, ExchangeProbe, Wait

SCHEMES = ("redis", "rediss", "unix")
PORT = 6379


def is_redis(url: str) -> bool:
    return url.partition("://")[0] in SCHEMES


def exchange_with(url: str, *commands: tuple[str, ...]) -> Exchange | None:
    """``commands`` to the server at ``url`` (redis://, rediss:// or unix://, as redis-py reads them).

    None when the URL asks for TLS without verification: the tool sends no password to a server that may be anybody.
    Raises ``Complaint`` when the URL names no server.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or PORT
    except ValueError:
        port = 0
    shown = f"{parts.scheme}://{parts.hostname or ''}{f':{port}' if port != PORT else ''}"  # never the password
    if not is_redis(url) or not port or not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise Complaint(
            "reading the address of an external server",
            f'"{shown}..." is not the URL of a Redis server',
            "Write redis://:password@host:6379/0, or rediss:// for TLS",
        )
    if parts.scheme == "rediss" and parse_qs(parts.query).get("ssl_cert_reqs", ["required"])[0] in ("none", "CERT_NONE"):
        return None
    credentials = tuple(unquote(word) for word in (parts.username, parts.password) if word)
    opening = (("AUTH", *credentials),) if parts.password else ()
    return Exchange(
        Path(unquote(parts.path)) if parts.scheme == "unix" else (parts.hostname or "", port),
        encode(*opening, *commands, ("QUIT",)),
        timeout_seconds=3.0,
        tls_name=parts.hostname if parts.scheme == "rediss" else None,
    )


def wait_for_answer(url: str, layer: str) -> tuple[Wait, ...]:
    """That the server at ``url`` lets us in and answers PING; nothing when it cannot be asked (see ``exchange_with``)."""
    exchange = exchange_with(url, ("PING",))
    if exchange is None:
        return ()
    name = exchange.to if isinstance(exchange.to, Path) else f"{exchange.to[0]}:{exchange.to[1]}"
    return (Wait(ExchangeProbe(exchange, b"+PONG"), why=f"asking the external {layer} at {name}", timeout_seconds=5),)
