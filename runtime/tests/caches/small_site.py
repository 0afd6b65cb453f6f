"""A small site on a cache server of its own: python small_site.py redis|memcached, prints one JSON object of what happened to it.

It has sessions (cached_db), a page cache, cached functions and fragments; the server is killed and started under load.
"""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
from cache_servers import CacheServer, wait_until

PAGE = '{% load slipstream %}{% fragment "side" number lifetime="short" %}side {{ number }}{% endfragment %}'


def main() -> None:
    server = CacheServer(sys.argv[1]).start()
    with tempfile.TemporaryDirectory() as folder:
        try:
            print(json.dumps(run(server, folder)))
        finally:
            server.close()


def run(server: CacheServer, folder: str) -> dict[str, Any]:
    from django.conf import settings

    entry = {"BACKEND": server.backend, "LOCATION": server.location, "OPTIONS": {"retry_seconds": 1.0, "timeout_seconds": 1.0}}
    settings.configure(
        SECRET_KEY="test",
        ALLOWED_HOSTS=["*"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.sessions"],
        MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
        SESSION_ENGINE="django.contrib.sessions.backends.cached_db",
        SESSION_CACHE_ALIAS="sessions",
        CACHES={name: entry | {"KEY_PREFIX": name} for name in ("default", "sessions", "fragments")},
        DATABASES={
            "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": f"{folder}/db.sqlite3", "OPTIONS": {"timeout": 20}}
        },
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {
                    "loaders": [("django.template.loaders.locmem.Loader", {"page.html": PAGE})],
                    "libraries": {"slipstream": "slipstream.templatetags.slipstream"},
                },
            }
        ],
    )
    import django

    django.setup()
    from django.core.cache import caches
    from django.core.management import call_command
    from django.db import connection
    from django.http import HttpRequest, HttpResponse
    from django.shortcuts import render
    from django.test import Client
    from django.test.utils import CaptureQueriesContext
    from django.urls import path
    from django.views.decorators.cache import cache_page

    from slipstream.caches import server_counts

    call_command("migrate", verbosity=0)

    def me(request: HttpRequest) -> HttpResponse:
        if request.method == "POST":
            request.session["name"] = "Ada"
        return HttpResponse(request.session.get("name", "nobody"))

    @cache_page(60)
    def page(request: HttpRequest, number: int) -> HttpResponse:
        return render(request, "page.html", {"number": number})

    globals()["urlpatterns"] = [path("me", me), path("page/<int:number>", page)]

    def warm(client: Client) -> tuple[int, str]:
        with CaptureQueriesContext(connection) as captured:
            name = client.get("/me").content.decode()
        return len(captured.captured_queries), name

    client = Client()
    client.post("/me")
    report: dict[str, Any] = {"warm": warm(client)}
    caches["default"].clear()  # another logical cache on the same server
    report["after_clearing_another_cache"] = warm(client)
    server.kill()
    report["without_server"] = warm(client)
    server.start()
    wait_until(lambda: caches["sessions"].set("probe", 1) or caches["sessions"].get("probe") == 1, "the server is used again")
    report["after_restart"] = warm(client)
    report["warm_again"] = warm(client)

    failures: list[str] = []
    served = [0]
    is_over = threading.Event()

    def visit(offset: int) -> None:
        visitor = Client()
        visitor.cookies = client.cookies
        step = 0
        while not is_over.is_set():
            step += 1
            try:
                number = (offset * 7 + step) % 20
                if visitor.get(f"/page/{number}").content.decode() != f"side {number}":
                    failures.append("wrong page")
                if visitor.get("/me").content != b"Ada":
                    failures.append("lost session")
                served[0] += 2
            except Exception as error:
                failures.append(repr(error))

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
    for visitor in visitors:
        visitor.start()
    try:
        wait_until(lambda: served[0] > 200, "the load runs", 30)
        server.kill()
        killed_at = served[0]
        wait_until(lambda: served[0] > killed_at + 400, "the load goes on", 30)
        server.start()
        started_at = served[0]
        wait_until(
            lambda: caches["default"].get("probe2") == 1 or caches["default"].set("probe2", 1) or False, "it is used again"
        )
        wait_until(lambda: served[0] > started_at + 200, "the load goes on", 30)
    finally:
        is_over.set()
        for visitor in visitors:
            visitor.join()
    report |= {"requests": served[0], "failures": failures, "servers": server_counts()}
    return report


main()
