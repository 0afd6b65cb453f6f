"""A database that cannot be reached is an outage, not a defect of the page: a clear 503 that says when to come back."""

from __future__ import annotations

import sys
from typing import Any

from django.core.signals import got_request_exception
from django.db.utils import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse

RETRY_SECONDS = 5
"""Retry-After of the answer: what a local restart of a database takes; browsers and crawlers come back by themselves."""

UNREACHABLE_STATES = ("08", "57P01", "57P02", "57P03", "53300")
"""PostgreSQL's SQLSTATE: connection exceptions, shutdowns, "starting up", too many connections (manual, appendix A)."""

UNREACHABLE_NUMBERS = (1040, 1053, 2002, 2003, 2006, 2013)
"""MySQL's error numbers: too many connections, shutdown, and the client's four ways of having no server."""

PLAIN_PAGE = (
    '<!doctype html><html lang="en"><title>Back soon</title>'
    "<h1>Back soon</h1><p>The site cannot reach its data right now. Please try again in a moment.</p></html>"
)


def is_outage(exception: BaseException | None) -> bool:
    """Whether ``exception`` says that no database answered; an error in a query, and a locked SQLite file, are not that."""
    if not isinstance(exception, OperationalError | InterfaceError):
        return False
    cause: Any = exception.__cause__
    module = type(cause).__module__ if cause is not None else ""
    if module.startswith("sqlite3"):
        return False
    if module.startswith(("MySQLdb", "pymysql")):
        return bool(cause.args) and cause.args[0] in UNREACHABLE_NUMBERS
    state = getattr(cause, "sqlstate", None) or getattr(cause, "pgcode", None)
    # No state: the client library itself found nobody to talk to, or lost the server in mid-sentence.
    return state is None or str(state).startswith(UNREACHABLE_STATES)


def notice(sender: Any = None, request: HttpRequest | None = None, **kwargs: Any) -> None:
    """Receiver of ``got_request_exception``: remember at the request that this 500 is an outage."""
    if request is not None and is_outage(sys.exc_info()[1]):
        request.slipstream_outage = True


def connect_signal() -> None:
    got_request_exception.connect(notice, dispatch_uid="slipstream.outages")


def has_outage(request: HttpRequest) -> bool:
    return getattr(request, "slipstream_outage", False)


def answer_outage(request: HttpRequest) -> HttpResponse:
    """503 with Retry-After and the site's own 503 page where it can be rendered without data, never kept by a cache."""
    headers = {"Retry-After": str(RETRY_SECONDS), "Cache-Control": "no-store"}
    return HttpResponse(render_page(), status=503, headers=headers)


def render_page() -> str:
    """The template 503.html without a request: context processors could ask the database again."""
    from django.template.loader import render_to_string

    try:
        page: str = render_to_string("503.html")
    except Exception:  # whatever the template needs is not there: the plain page always is
        return PLAIN_PAGE
    return page
