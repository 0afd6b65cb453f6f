"""The WSGI application that the app server runs: the project's own, entered with the overlay in force and a whole body."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterable
from importlib import import_module
from tempfile import SpooledTemporaryFile
from typing import Any

from slipstream import wire
from slipstream.launch import load_overlay

try:
    import uwsgi
except ImportError:  # another app server, or a test
    uwsgi = None

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

SPOOL_BYTES = 65536
"""As uWSGI's post-buffering in the rendered configuration: larger bodies wait on disk, not in memory."""


def load_application(reference: str) -> Application:
    """The project's application ``module:name``; its own errors come through unchanged."""
    module, _, name = reference.partition(":")
    application: Application = getattr(import_module(module), name)
    return application


def join_chunks(environ: Environ) -> None:
    """Read a chunked request body whole and give it a length.

    Django reads as many bytes as CONTENT_LENGTH says, which a chunked request does not have: the view would see an empty
    body, and uWSGI would close the connection on the unread rest. The time to read is bounded by harakiri.
    """
    if uwsgi is None or "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
        return
    body = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - the request closes it
    while chunk := uwsgi.chunked_read():
        body.write(chunk)
    environ["CONTENT_LENGTH"] = str(body.tell())
    body.seek(0)
    environ["wsgi.input"] = body
    del environ["HTTP_TRANSFER_ENCODING"]


def name_in_request_log(environ: Environ) -> None:
    """Give the app server's JSON request log the path, escaped: a visitor must not be able to write its lines."""
    if uwsgi is not None:
        path = environ.get("REQUEST_URI", "").partition("?")[0]
        uwsgi.set_logvar("path", json.dumps(path)[1:-1])


def enter(application: Application) -> Application:
    def enter_project(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        name_in_request_log(environ)
        join_chunks(environ)
        return application(environ, start_response)

    return enter_project


if reference := os.environ.get(wire.APPLICATION_VARIABLE):
    if uwsgi is not None:
        # A worker that is still loading would ignore the master's HUP, and a stop would wait for it until it is killed.
        # uWSGI puts its own handler in place when the worker is ready.
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    load_overlay()
    application = enter(load_application(reference))
