"""Redis's wire protocol (RESP 2): commands as the bytes to send, answers as Python values, without a client or a socket."""

from __future__ import annotations

from collections.abc import Mapping

Reply = str | int | None | list["Reply"]


class ErrorReply(str):
    """An answer that begins with ``-``: the server refused the command ("LOADING Redis is loading the dataset in memory")."""


def encode(*commands: tuple[str, ...]) -> bytes:
    """The bytes of ``commands``, pipelined in one request."""
    parts = []
    for command in commands:
        parts.append(f"*{len(command)}\r\n".encode())
        for word in command:
            data = word.encode()
            parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def decode(raw: str) -> list[Reply]:
    """The complete replies in ``raw``, in order; an unfinished one at the end is left out."""
    data, replies, position = raw.encode(), [], 0
    while position < len(data):
        try:
            reply, position = _read(data, position)
        except (ValueError, IndexError):
            break
        replies.append(reply)
    return replies


def _read(data: bytes, position: int) -> tuple[Reply, int]:
    end = data.index(b"\r\n", position)
    kind, line, after = data[position : position + 1], data[position + 1 : end], end + 2
    match kind:
        case b"+":
            return line.decode(), after
        case b"-":
            return ErrorReply(line.decode()), after
        case b":":
            return int(line), after
        case b"$":
            length = int(line)
            if length < 0:
                return None, after
            if len(data) < after + length:
                raise ValueError("unfinished")
            return data[after : after + length].decode(errors="replace"), after + length + 2
        case b"*":
            items: list[Reply] = []
            for _ in range(max(0, int(line))):
                item, after = _read(data, after)
                items.append(item)
            return items, after
    raise ValueError(f"not a reply: {data[position:end]!r}")


def parse_info(text: str) -> Mapping[str, str]:
    """What INFO tells, by name; section headings are left out."""
    pairs = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: value for name, colon, value in pairs if colon}


def first_info(replies: list[Reply]) -> Mapping[str, str]:
    """The answer to INFO among ``replies``; empty when the server gave none (still loading, access refused)."""
    return next((parse_info(reply) for reply in replies if isinstance(reply, str) and "redis_version:" in reply), {})


def number_in(info: Mapping[str, str], name: str) -> int | None:
    """INFO's number called ``name``; None when this server does not tell it."""
    value = info.get(name, "")
    return int(value) if value.lstrip("-").isdigit() else None
