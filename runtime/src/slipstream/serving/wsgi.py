"""The WSGI application for app servers written in Python: files first, then the project's, entered with a whole body."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from tempfile import SpooledTemporaryFile
from typing import Any

from slipstream.serving.files import Application, serve_files
from slipstream.wsgi import SPOOL_BYTES
from slipstream.wsgi import application as project

READ_BYTES = 65536


def gather_body(application: Application) -> Application:
    """``application``, entered only when the request's body is there, with its length.

    Django reads as many bytes as CONTENT_LENGTH says, which a chunked request does not have. And a view that does not
    read its body would have the connection reset under its answer. Large bodies wait on disk.
    """

    def enter(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        is_chunked = "chunked" in environ.get("HTTP_TRANSFER_ENCODING", "").lower()
        length = int(environ.get("CONTENT_LENGTH") or 0)
        if is_chunked or length:
            source = environ["wsgi.input"]
            body = SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed with the request's environment
            while chunk := source.read(READ_BYTES):
                body.write(chunk)
            environ["CONTENT_LENGTH"] = str(body.tell())
            body.seek(0)
            environ["wsgi.input"] = body
            environ.pop("HTTP_TRANSFER_ENCODING", None)
        return application(environ, start_response)

    return enter


application = serve_files(gather_body(project))
