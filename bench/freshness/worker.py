"""One process that measures when told: a line with an operation and a count in, microseconds of wall clock and CPU out."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any

import django


def operations() -> dict[str, Callable[[], Any]]:
    from django.db import connection, transaction

    from bench.freshness.models import Article, Plain

    def raw() -> None:
        with connection.cursor() as cursor:
            cursor.execute("UPDATE freshness_article SET version = version + 1 WHERE id = 1")

    def in_transaction() -> None:
        with transaction.atomic():
            raw()

    def save() -> None:
        Article.objects.filter(pk=1).update(title="x")

    def page() -> None:
        for number in range(1, 11):
            list(Plain.objects.filter(section=number).select_related("section").order_by("-id")[:10])

    return {
        "update, raw cursor": raw,
        "update, atomic": in_transaction,
        "update, queryset": save,
        "list query of 20 rows": lambda: list(Article.objects.filter(section=1).order_by("-id")[:20]),
        "row by key": lambda: Article.objects.get(pk=2),
        "ten list queries, tracked": page,
    }


def main() -> None:
    django.setup()
    known = operations()
    from slipstream.freshness.recorder import record

    for line in sys.stdin:
        name, _, count = line.strip().partition("\t")
        operation = known[name]
        began, cpu_began = time.perf_counter(), time.process_time()
        for _ in range(int(count)):
            with record():
                operation()
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu_began
        print(f"{wall / int(count) * 1e6:.1f} {cpu / int(count) * 1e6:.1f}", flush=True)


if __name__ == "__main__":
    main()
