"""The bytes a cached value travels in: what lets a reader tell fresh, expired, invalidated, foreign and damaged apart.

Layout, big-endian: version (1 byte), flags (1), generation (8), nonce (4), payload length (4), then, for values
that outlive their lifetime as "previous" ones, the moment they expire in Unix milliseconds (8), then the payload.
The generation names the epoch of the logical cache: a value of another generation does not exist. The nonce makes
two writes of the same value differ, so that a claim can tell whether the key was written meanwhile.
"""

from __future__ import annotations

import pickle
import struct
import zlib
from importlib import import_module
from random import getrandbits
from time import time
from typing import Any, Final

VERSION: Final = 0xA1  # not the first byte of a pickle (0x80), of text or of a number: foreign values are misses
HEADER: Final = struct.Struct(">BB8sII")
EXPIRING_HEADER: Final = struct.Struct(">BB8sIIQ")
HEADER_BYTES: Final = HEADER.size
EXPIRY_BYTES: Final = 8

PICKLED, TEXT, BYTES, INTEGER = range(4)
KIND: Final = 0x03
LZ4: Final = 0x04
ZLIB: Final = 0x08
COMPRESSED: Final = LZ4 | ZLIB
EXPIRING: Final = 0x10

# `python -m bench.caches.compression`: a page of 16 KB stored once and read ten times costs 45 us with lz4 (42% of the size),
# 230 us with zlib at level 1 (30%) and 290 us at level 6 (25%). So lz4 where it is installed, else the first level.
ZLIB_LEVEL: Final = 1
_lz4: Any
try:
    _lz4 = import_module("lz4.block")
except ImportError:
    _lz4 = None


class _Missing:
    """The type of MISSING, so that signatures can say it."""


MISSING: Final = _Missing()


def encode(value: Any, compress_above_bytes: int) -> tuple[int, bytes]:
    """Return (flags, payload) of a value; payloads above `compress_above_bytes` are compressed when that makes them smaller.

    Raises whatever pickle raises for a value that has no pickle.
    """
    kind = type(value)
    if kind is str:
        flags, payload = TEXT, value.encode("utf-8", "surrogatepass")
    elif kind is int:
        return INTEGER, b"%d" % value
    elif kind is bytes:
        flags, payload = BYTES, value
    else:
        flags, payload = PICKLED, pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
    if len(payload) > compress_above_bytes:
        smaller = zlib.compress(payload, ZLIB_LEVEL) if _lz4 is None else _lz4.compress(payload)
        if len(smaller) < len(payload):
            return flags | (ZLIB if _lz4 is None else LZ4), smaller
    return flags, payload


def seal(flags: int, payload: bytes, generation: bytes, expires_ms: int | None = None) -> bytes:
    """Return the envelope; with `expires_ms` (Unix milliseconds) the value stays readable as a previous one after it."""
    if expires_ms is None:
        return HEADER.pack(VERSION, flags, generation, getrandbits(32), len(payload)) + payload
    return EXPIRING_HEADER.pack(VERSION, flags | EXPIRING, generation, getrandbits(32), len(payload), expires_ms) + payload


def load(raw: bytes, generation: bytes) -> Any:
    """Return the value if it is whole, of this generation and not expired; else MISSING. Never raises."""
    try:
        version, flags, own_generation, _, length = HEADER.unpack_from(raw)
        if own_generation != generation or version != VERSION:
            return MISSING
        start = HEADER_BYTES
        if flags >= EXPIRING:
            if int.from_bytes(raw[start : start + EXPIRY_BYTES], "big") <= time() * 1000:
                return MISSING
            start += EXPIRY_BYTES
        if len(raw) - start != length:
            return MISSING
        return _decode(flags, raw, start)
    except Exception:  # whatever a damaged pickle, another release's class or a short value raises: it is a miss
        return MISSING


def load_previous(raw: bytes | None, generation: bytes) -> Any:
    """Return the value even if its lifetime is over, as long as it is of this generation; else MISSING. Never raises."""
    if raw is None:
        return MISSING
    try:
        version, flags, own_generation, _, length = HEADER.unpack_from(raw)
        start = HEADER_BYTES + EXPIRY_BYTES if flags & EXPIRING else HEADER_BYTES
        if own_generation != generation or version != VERSION or len(raw) - start != length:
            return MISSING
        return _decode(flags, raw, start)
    except Exception:  # as in load
        return MISSING


def is_current(head: bytes, generation: bytes, now_ms: float) -> bool:
    """Say from the first 26 bytes alone whether a value of this generation is there and not expired."""
    if len(head) < HEADER_BYTES or head[0] != VERSION or head[2:10] != generation:
        return False
    return not head[1] & EXPIRING or int.from_bytes(head[HEADER_BYTES : HEADER_BYTES + EXPIRY_BYTES], "big") > now_ms


def _decode(flags: int, raw: bytes, start: int) -> Any:
    body: Any = memoryview(raw)[start:]
    if flags & COMPRESSED:
        if flags & ZLIB:
            body = zlib.decompress(body)
        elif _lz4 is None:
            return MISSING  # written by a host that has lz4
        else:
            body = _lz4.decompress(body)
    kind = flags & KIND
    if kind == PICKLED:
        return pickle.loads(body)
    if kind == TEXT:
        return str(body, "utf-8", "surrogatepass")
    if kind == INTEGER:
        return int(bytes(body))
    if kind == BYTES:
        return bytes(body)
    return MISSING
