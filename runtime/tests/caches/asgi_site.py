"""Twenty concurrent ASGI requests through Django's cache middleware: python asgi_site.py BACKEND LOCATION PREFIX, prints JSON."""

# ruff: noqa: E402  (settings come before what reads them)

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from django.conf import settings

settings.configure(
    SECRET_KEY="test",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.middleware.cache.UpdateCacheMiddleware", "django.middleware.cache.FetchFromCacheMiddleware"],
    CACHES={
        "default": {
            "BACKEND": sys.argv[1],
            "LOCATION": sys.argv[2],
            "KEY_PREFIX": sys.argv[3],
            "OPTIONS": {"timeout_seconds": 2.0, "wait_seconds": 20.0},
        }
    },
)

import django

django.setup()

from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

rendered = 0


async def page(request: HttpRequest, kind: str) -> HttpResponse:
    global rendered
    rendered += 1
    await asyncio.sleep(0.3)
    response = HttpResponse(kind)
    if kind == "private":
        response["Cache-Control"] = "private"
    return response


urlpatterns = [path("<str:kind>", page)]
application = get_asgi_application()


async def get(url: str) -> int:
    messages: list[dict[str, Any]] = []
    is_answered = asyncio.Event()
    waiting = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> dict[str, Any]:
        if waiting:
            return waiting.pop()
        await is_answered.wait()
        return {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    scope = {"type": "http", "method": "GET", "path": url, "query_string": b"", "headers": [], "server": ("test", 80)}
    await application(scope, receive, send)
    is_answered.set()
    return int(messages[0]["status"])


async def main() -> dict[str, Any]:
    global rendered
    report: dict[str, Any] = {}
    for kind in ("public", "private"):
        rendered = 0
        began = time.monotonic()
        statuses = await asyncio.gather(*[get(f"/{kind}") for _ in range(20)])
        report[kind] = {"statuses": sorted(set(statuses)), "rendered": rendered, "seconds": time.monotonic() - began}
    return report


print(json.dumps(asyncio.run(main())))
