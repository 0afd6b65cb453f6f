"""Where the request enters and leaves: health checks, the request id, the visitor's address, the bypass."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from django.db.utils import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from slipstream import wire
from slipstream.logs import request_id
from slipstream.outages import answer_outage, connect_signal, has_outage, is_outage

REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""What the edge makes and a log line can carry; anything else is not believed."""


def header(name: str) -> str:
    """The name of an HTTP header in ``request.META``."""
    return "HTTP_" + name.upper().replace("-", "_")


class SlipstreamMiddleware:
    """First in the list; asks no database. Works under WSGI and ASGI."""

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        connect_signal()
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.pass_through_async(request)
        if request.path_info == wire.HEALTH_PATH:
            return answer_health()
        token = request_id.set(enter(request))
        try:
            response: HttpResponseBase = self.get_response(request)
            return leave(request, response)
        except (OperationalError, InterfaceError) as error:  # the site's own error page asked the database as well
            return leave_broken(request, error)
        finally:
            request_id.reset(token)

    async def pass_through_async(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == wire.HEALTH_PATH:
            return answer_health()
        token = request_id.set(enter(request))
        try:
            return leave(request, await self.get_response(request))
        except (OperationalError, InterfaceError) as error:
            return leave_broken(request, error)
        finally:
            request_id.reset(token)


def answer_health() -> HttpResponse:
    """200 for any Host and method, before host names are looked at; never kept by a cache."""
    return HttpResponse("ok", content_type="text/plain", headers={"Cache-Control": "no-store"})


def enter(request: HttpRequest) -> str | None:
    """Read what the edge says about the request; the request's id, or None when it did not come through the edge."""
    meta = request.META
    given = meta.get(header(wire.REQUEST_ID_HEADER), "")
    request.slipstream_bypass = meta.get(header(wire.BYPASS_HEADER)) == "1"
    if visitor := address_of_visitor(meta.get("HTTP_X_FORWARDED_FOR", "")):
        meta["REMOTE_ADDR"] = visitor
    identifier = given if REQUEST_ID.fullmatch(given) else None
    request.slipstream_request_id = identifier
    return identifier


def address_of_visitor(forwarded: str) -> str | None:
    """The first address of X-Forwarded-For.

    The edge drops what visitors send and begins the list with the address that it saw itself (or that a trusted proxy in
    front told it); layers between the edge and here may append their own. Hence the first entry is the trusted one, and
    what the project reads as REMOTE_ADDR (throttles, comments, logs) is the visitor instead of the balancer.
    """
    first = forwarded.partition(",")[0].strip()
    try:
        return str(ipaddress.ip_address(first))
    except ValueError:
        return None


def leave_broken(request: HttpRequest, error: Exception) -> HttpResponseBase:
    """The answer to an outage; any other error goes on its way."""
    if not is_outage(error):
        raise error
    request.slipstream_outage = True
    return leave(request, answer_outage(request))


def leave(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if response.status_code == 500 and has_outage(request):
        response = answer_outage(request)
    identifier: str | None = request.slipstream_request_id
    if identifier:
        response.headers[wire.REQUEST_ID_HEADER] = identifier
    return response
