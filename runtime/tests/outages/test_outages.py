"""An unreachable database is a 503 with Retry-After, whoever met it: view, middleware, template or the error page itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from django.db.utils import InterfaceError, OperationalError, ProgrammingError

from slipstream.outages import is_outage

SITE = """
import sys
from django.conf import settings
from django.http import HttpResponse

PORT = int(sys.argv[1])

def ask():
    from django.db import connection
    with connection.cursor() as cursor:
        cursor.execute("select 1")

def view(request):
    ask()
    return HttpResponse("never")

def fine(request):
    return HttpResponse("fine")

def wrong(request):
    raise RuntimeError("a defect")

def asking_middleware(get_response):
    def middleware(request):
        if request.path == "/fine/" and request.GET:
            ask()
        return get_response(request)
    return middleware

def error_page(request):
    if request.GET:
        ask()
    return HttpResponse("the site's 500", status=500)

settings.configure(
    SECRET_KEY="x", ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, USE_TZ=True, LOGGING_CONFIG=None,
    MIDDLEWARE=["slipstream.middleware.SlipstreamMiddleware", f"{__name__}.asking_middleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "OPTIONS": {"loaders": [
        ("django.template.loaders.locmem.Loader", {"503.html": "the site's own 503"})]}}],
    DATABASES={"default": {
        "ENGINE": "django.db.backends.postgresql", "NAME": "x", "USER": "x", "HOST": "127.0.0.1", "PORT": PORT}},
)
import django
django.setup()
from django.test import Client
from django.urls import path
urlpatterns = [path("view/", view), path("fine/", fine), path("wrong/", wrong)]
handler500 = error_page

client = Client(raise_request_exception=False)
for address in ("/view/", "/view/?error-page-asks-too=1", "/fine/", "/fine/?middleware-asks=1", "/wrong/"):
    answer = client.get(address)
    print(address, answer.status_code, answer.headers.get("Retry-After"), answer.content.decode())
"""


def test_who_meets_it_does_not_matter(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        script = tmp_path / "site_without_data.py"
        script.write_text(SITE)
        command = [sys.executable, script, str(unused.getsockname()[1])]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=dict(os.environ), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "/view/ 503 5 the site's own 503",
        "/view/?error-page-asks-too=1 503 5 the site's own 503",
        "/fine/ 200 None fine",
        "/fine/?middleware-asks=1 503 5 the site's own 503",
        "/wrong/ 500 None the site's 500",
    ]


def caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        (psycopg.OperationalError("connection refused"), True),
        (psycopg.errors.AdminShutdown(), True),
        (psycopg.errors.CannotConnectNow(), True),
        (psycopg.errors.TooManyConnections(), True),
        (psycopg.errors.ConnectionFailure(), True),
        (psycopg.errors.QueryCanceled(), False),
        (psycopg.errors.DeadlockDetected(), False),
        (psycopg.errors.DiskFull(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_what_counts_as_unreachable(cause: Exception, expected: bool) -> None:
    assert is_outage(caused(OperationalError("x"), cause)) is expected


def test_other_errors_are_defects() -> None:
    import sqlite3

    assert not is_outage(None)
    assert not is_outage(ValueError())
    assert not is_outage(ProgrammingError())
    assert not is_outage(caused(OperationalError("database is locked"), sqlite3.OperationalError("database is locked")))
    assert is_outage(caused(InterfaceError("connection already closed"), psycopg.InterfaceError("the connection is closed")))
