"""The ASGI application that the app server runs: the project's own, with the overlay in force and files in front."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, MutableMapping
from importlib import import_module
from typing import Any

from slipstream import wire
from slipstream.launch import load_overlay
from slipstream.serving import requestlog
from slipstream.serving.files import FileServer, file_maps

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

CHUNK_BYTES = 65536
TOO_LATE = b"The request took too long."


def load_application(reference: str) -> Application:
    """The project's application ``module:name``; its own errors come through unchanged."""
    module, _, name = reference.partition(":")
    application: Application = getattr(import_module(module), name)
    return application


def load_urls() -> None:
    """Import the project's URL configuration with its views now, as Django would at the first request: the first visitor
    of a new worker does not wait for it, and a mistake in it ends a trial instead of reaching visitors."""
    from django.conf import settings
    from django.urls import get_resolver

    if getattr(settings, "ROOT_URLCONF", None):
        list(get_resolver().url_patterns)


def header_of(scope: Scope, name: str) -> str:
    wanted = name.lower().encode()
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == wanted), "")


class Entrance:
    """The project's application with files in front, a limit of time, and a line in the log for each request."""

    def __init__(self, application: Application, limit_seconds: float | None) -> None:
        self.application = application
        self.limit_seconds = limit_seconds
        maps = file_maps()
        self.files = FileServer(None, maps) if maps else None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.application(scope, receive, send)  # a WebSocket lives as long as its visitor
        elif scope["path"] == wire.HEALTH_PATH:
            await answer(send, 200, b"ok")
        else:
            await self.record(scope, receive, send)

    async def record(self, scope: Scope, receive: Receive, send: Send) -> None:
        board = current_board()
        start, status, sent = time.monotonic(), 500, 0

        async def count(message: Message) -> None:
            nonlocal status, sent
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                sent += len(message.get("body", b""))
            await send(message)

        if board:
            board.add(busy=1)
        try:
            if not (self.files and await send_file(self.files, scope, count)):
                await self.enter_in_time(scope, receive, count)
        finally:
            microseconds = int((time.monotonic() - start) * 1e6)
            if board:
                failures = int(status >= 500)
                board.add(busy=-1, requests=1, exceptions=failures, microseconds=microseconds, sent_bytes=sent)
            peer = (scope.get("client") or ("",))[0]
            requestlog.write_line(
                request_id=header_of(scope, wire.REQUEST_ID_HEADER),
                client=requestlog.first_address(header_of(scope, "X-Forwarded-For"), peer),
                method=scope["method"],
                path=scope.get("raw_path", b"").decode("latin-1").partition("?")[0] or scope["path"],
                status=status,
                milliseconds=microseconds // 1000,
                sent_bytes=sent,
            )

    async def enter_in_time(self, scope: Scope, receive: Receive, send: Send) -> None:
        """End the request when its answer has not begun in time; an answer that streams may last.

        Work that blocks the whole event loop is not ended here: the app server ends the worker for it.
        """
        has_begun = False
        clock = asyncio.timeout(self.limit_seconds)

        async def begin(message: Message) -> None:
            nonlocal has_begun
            if not has_begun:
                has_begun = True
                clock.reschedule(None)
            await send(message)

        try:
            async with clock:
                await self.application(scope, receive, begin)
        except TimeoutError:
            if has_begun or not clock.expired():
                raise
            if board := current_board():
                board.add(killed=1)
            await answer(send, 503, TOO_LATE)


def current_board() -> Any:
    """The worker's scoreboard; None under another server, or in a test."""
    try:
        from slipstream.serving import hooks
    except ImportError:
        return None
    return hooks.board


async def answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(body)).encode()), (b"cache-control", b"no-store")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def send_file(files: FileServer, scope: Scope, send: Send) -> bool:
    """Whether the path names a file, which is then sent; reading happens in a thread, as disks block."""
    path = scope["path"].removeprefix(scope.get("root_path", ""))
    file = await asyncio.to_thread(files.find_file, path) if path.startswith(files.prefixes) else None
    if file is None:
        return False
    asked = {
        "HTTP_" + name.decode("latin-1").upper().replace("-", "_"): value.decode("latin-1") for name, value in scope["headers"]
    }
    response = await asyncio.to_thread(file.get_response, scope["method"], asked)
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
    if response.file is None:
        await send({"type": "http.response.body", "body": b""})
        return True
    try:
        while chunk := await asyncio.to_thread(response.file.read, CHUNK_BYTES):
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        response.file.close()
    return True


if reference := os.environ.get(wire.APPLICATION_VARIABLE):
    load_overlay()
    limit = os.environ.get(wire.REQUEST_SECONDS_VARIABLE)
    application = Entrance(load_application(reference), float(limit) if limit else None)
    load_urls()
