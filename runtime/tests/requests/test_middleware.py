"""A request through the runtime's middleware, sync and async: no database, no surprise."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from slipstream.logs import request_id
from slipstream.middleware import SlipstreamMiddleware

Seen = dict[str, Any]


def pass_through(path: str, is_async: bool, **headers: str) -> tuple[Any, Seen]:
    """The response and what the view saw (nothing when it was not asked)."""
    seen: Seen = {}

    def view(request: HttpRequest) -> HttpResponse:
        seen.update(id=request_id.get(), address=request.META["REMOTE_ADDR"], bypass=request.slipstream_bypass)  # type: ignore[attr-defined]
        return HttpResponse("page")

    async def async_view(request: HttpRequest) -> HttpResponse:
        await asyncio.sleep(0)
        return view(request)

    request = RequestFactory(headers=headers).get(path)
    if is_async:
        return asyncio.run(SlipstreamMiddleware(async_view)(request)), seen  # type: ignore[arg-type]
    return SlipstreamMiddleware(view)(request), seen


both = pytest.mark.parametrize("is_async", [False, True])


@both
def test_health_is_answered_before_anything_else(is_async: bool) -> None:
    response, seen = pass_through("/.slipstream/health", is_async, host="203.0.113.9")
    assert (response.status_code, response.content, response["Cache-Control"]) == (200, b"ok", "no-store")
    assert seen == {}


@both
def test_the_edge_s_words_reach_the_view(is_async: bool) -> None:
    headers = {"x-request-id": "a-1", "x-forwarded-for": "2001:db8::7, 10.0.0.1", "x-slipstream-bypass": "1"}
    response, seen = pass_through("/", is_async, **headers)
    assert seen == {"id": "a-1", "address": "2001:db8::7", "bypass": True}
    assert response["X-Request-ID"] == "a-1"
    assert request_id.get() is None  # the next request begins without it


@both
@pytest.mark.parametrize("given", ["", 'x","level":"', "a b", "x" * 129, "a\n"])
def test_an_id_that_no_edge_makes_is_not_believed(is_async: bool, given: str) -> None:
    response, seen = pass_through("/", is_async, **({"x-request-id": given} if given else {}))
    assert seen["id"] is None
    assert "X-Request-ID" not in response


@both
@pytest.mark.parametrize("given", ["unknown", "", "<script>", "1.2.3.4:80"])
def test_what_is_no_address_is_not_one(is_async: bool, given: str) -> None:
    _, seen = pass_through("/", is_async, **{"x-forwarded-for": given})
    assert seen == {"id": None, "address": "127.0.0.1", "bypass": False}


@both
@pytest.mark.parametrize("given", ["0", "true", "11"])
def test_only_the_accelerator_s_word_bypasses(is_async: bool, given: str) -> None:
    assert pass_through("/", is_async, **{"x-slipstream-bypass": given})[1]["bypass"] is False
