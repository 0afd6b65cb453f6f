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
else:
    # First of all: a worker that is still loading would ignore the master's HUP, and a stop would wait for it until it is
    # killed. uWSGI puts its own handler in place when the worker is ready.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

Environ = dict[str, Any]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

SPOOL_BYTES = 65536
"""As uWSGI's post-buffering in the rendered configuration: larger bodies wait on disk, not in memory."""


def load_application(reference: str) -> Application:
    """The project's application ``module:name``; its own errors come through unchanged."""
    module, _, name = reference.partition(":")
    application: Application = getattr(import_module(module), name)
    return application


def load_urls() -> None:
    """Import the project's URL configuration with its views now, as Django does at the first request.

    The first visitor of a new worker does not wait for it, and a mistake in it ends a trial instead of reaching visitors.
    """
    from django.conf import settings
    from django.urls import get_resolver

    if getattr(settings, "ROOT_URLCONF", None):
        list(get_resolver().url_patterns)


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


def tell_request_log(environ: Environ) -> None:
    """Give the app server's JSON request log the path, escaped, and the visitor's address.

    Both come from the visitor: as they are, they could write lines of the log. The query stays out, because it carries
    the tokens of password resets.
    """
    if uwsgi is not None:
        from slipstream.middleware import address_of_visitor  # not above: Django must not load before the signal is set

        path = environ.get("REQUEST_URI", "").partition("?")[0]
        visitor = address_of_visitor(environ.get("HTTP_X_FORWARDED_FOR", ""))
        uwsgi.set_logvar("path", json.dumps(path)[1:-1])
        uwsgi.set_logvar("client", visitor or environ.get("REMOTE_ADDR", ""))


def enter(application: Application) -> Application:
    def enter_project(environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        tell_request_log(environ)
        join_chunks(environ)
        return application(environ, start_response)

    return enter_project


if reference := os.environ.get(wire.APPLICATION_VARIABLE):
    load_overlay()
    application = enter(load_application(reference))
    load_urls()
