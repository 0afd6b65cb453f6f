"""A reading process: checks that what it reads is never older than what was committed before it began to read.

Speaks lines: the lowest version that a read beginning now may show is in the file named by FLOOR (8 bytes, shared memory).
"""

# ruff: noqa: E402  (Django is set up before its models are imported)

from __future__ import annotations

import json
import mmap
import os
import sys
from pathlib import Path

import django

django.setup()

from newsstand.models import Article

from slipstream.freshness.protocol.store import Store

with Path(os.environ["FLOOR"]).open("r+b") as file:
    floor = mmap.mmap(file.fileno(), 16)


def read_floor() -> int:
    return int.from_bytes(floor[:8], "little")


hits = fills = stale = reads = 0
seen = 0
original_fill = Store.fill


def count_fill(self: Store, *args: object) -> bool:
    global fills
    fills += 1
    return original_fill(self, *args)  # type: ignore[arg-type]


Store.fill = count_fill  # type: ignore[method-assign,assignment]

print("ready", flush=True)
while not floor[8]:
    lowest = read_floor()
    kind = reads % 3
    if kind == 0:
        version = Article.objects.get(pk=1).version
    elif kind == 1:
        version = next(iter(Article.objects.filter(section=1).values_list("version", flat=True)))
    else:
        version = Article.objects.select_related("section").order_by("id")[0].version
    reads += 1
    if version < lowest:
        stale += 1
print(json.dumps({"reads": reads, "stale": stale, "fills": fills}), flush=True)
sys.exit(0)
