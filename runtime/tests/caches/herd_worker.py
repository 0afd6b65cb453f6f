"""One process of a stampede: python herd_worker.py '{"backend": ..., "location": ..., ...}', answers one JSON line.

It says "ready", waits for a line on its standard input, and then lets its threads ask for the same key at once.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import Any


def main() -> None:
    order = json.loads(sys.argv[1])
    from django.conf import settings

    settings.configure(
        SECRET_KEY="test",
        ALLOWED_HOSTS=["*"],
        CACHES={
            "default": {
                "BACKEND": order["backend"],
                "LOCATION": order["location"],
                "KEY_PREFIX": order["prefix"],
                "OPTIONS": {"timeout_seconds": 2.0, **order.get("options", {})},
            }
        },
    )
    import django

    django.setup()
    from django.core.cache import cache

    answers: list[Any] = []
    computed: list[float] = []
    waits: list[float] = []

    def compute() -> str:
        computed.append(time.time())
        time.sleep(order["compute_seconds"])
        return "new"

    def ask() -> None:
        began = time.monotonic()
        if order["how"] == "page":
            answers.append(page())
        else:
            answers.append(cache.get_or_set("key", compute, order["lifetime"]))
        waits.append(time.monotonic() - began)

    async def ask_async() -> None:
        began = time.monotonic()
        answers.append(await cache.aget_or_set("key", compute_async, order["lifetime"]))
        waits.append(time.monotonic() - began)

    async def compute_async() -> str:
        computed.append(time.time())
        await asyncio.sleep(order["compute_seconds"])
        return "new"

    def page() -> str:
        from django.core.cache import caches
        from django.http import HttpResponse
        from django.test import RequestFactory
        from django.views.decorators.cache import cache_page

        view = cache_page(order["lifetime"])(lambda request: HttpResponse(compute()))
        try:
            return view(RequestFactory().get("/page")).content.decode()  # type: ignore[no-any-return]
        finally:
            caches.close_all()  # what the end of a request does

    cache.get("warm")
    print("ready", flush=True)
    sys.stdin.readline()
    if order["how"] == "async":

        async def everyone() -> None:
            await asyncio.gather(*[ask_async() for _ in range(order["requests"])])

        asyncio.run(everyone())
    else:
        threads = [threading.Thread(target=ask) for _ in range(order["requests"])]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    from slipstream.caches import server_counts

    print(
        json.dumps(
            {
                "answers": {answer: answers.count(answer) for answer in set(answers)},
                "computed": len(computed),
                "longest_seconds": max(waits),
                "failures": sum(counts["failures"] for counts in server_counts().values()),
            }
        )
    )


main()
