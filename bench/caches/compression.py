"""Which compression a cache should use, and from which size: python -m bench.caches.compression [--json].

Texts of pages are put together from the HTML templates that Django ships. What is compared is the CPU time of the site's
process for storing one and reading it ten times (a hit rate of 90%), and the bytes that travel and stay.
"""

from __future__ import annotations

import argparse
import json
import pickle
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django

SIZES = (1024, 4096, 16384, 65536)
READS_PER_WRITE = 10


def page(size: int) -> bytes:
    """Return a pickled page of about `size` bytes."""
    templates = sorted((Path(django.__file__).parent / "contrib" / "admin" / "templates").rglob("*.html"))
    text = "".join(path.read_text() for path in templates)
    return pickle.dumps(text[1000 : 1000 + size], pickle.HIGHEST_PROTOCOL)


def contenders() -> dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]]:
    """Return name -> (compress, decompress); lz4 only where it is installed."""
    found: dict[str, tuple[Callable[[bytes], bytes], Callable[[bytes], bytes]]] = {
        "none": (bytes, bytes),
        "zlib 1": (lambda data: zlib.compress(data, 1), zlib.decompress),
        "zlib 6": (lambda data: zlib.compress(data, 6), zlib.decompress),
    }
    try:
        import lz4.frame
    except ImportError:
        return found
    return found | {"lz4": (lz4.frame.compress, lz4.frame.decompress)}


def cost_us(call: Callable[[bytes], bytes], data: bytes, repeats: int = 200) -> float:
    """Return the CPU microseconds of one call, the least of five blocks."""
    blocks = []
    for _ in range(5):
        began = time.process_time()
        for _ in range(repeats):
            call(data)
        blocks.append((time.process_time() - began) / repeats * 1e6)
    return min(blocks)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.caches.compression", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        data = page(size)
        for name, (compress, decompress) in contenders().items():
            packed = compress(data)
            write, read = cost_us(compress, data), cost_us(decompress, packed)
            rows.append(
                {
                    "size": size,
                    "method": name,
                    "stored_percent": round(100 * len(packed) / len(data)),
                    "write_us": round(write, 1),
                    "read_us": round(read, 1),
                    "per_write_and_ten_reads_us": round(write + READS_PER_WRITE * read, 1),
                }
            )
    if options.json:
        print(json.dumps(rows, indent=2))
        return
    print(f"{'bytes':>7} {'method':<8}{'stored %':>9}{'write us':>10}{'read us':>9}{'1 + 10 us':>11}")
    for row in rows:
        print(
            f"{row['size']:>7} {row['method']:<8}{row['stored_percent']:>9}{row['write_us']:>10}{row['read_us']:>9}"
            f"{row['per_write_and_ten_reads_us']:>11}"
        )


if __name__ == "__main__":
    main()
