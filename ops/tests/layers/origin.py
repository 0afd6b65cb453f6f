"""A scripted application behind the edge for tests, and stacks of the front layers alone: edge and accelerator."""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from slipstream.wire import HEALTH_PATH
from slipstream_ops.placement import Endpoint, Host, Stack
from workshop import free_port, make_stack

FRONT = frozenset({"edge", "accelerator"})


@dataclass(frozen=True)
class Seen:
    """One request as it reached the application."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def header(self, name: str) -> str | None:
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(values) <= 1, f"{name} arrived {len(values)} times"
        return values[0] if values else None

    @property
    def path(self) -> str:
        return self.url.partition("?")[0]


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: dict[str, str] | list[tuple[str, str]] = field(default_factory=dict)
    body: bytes | str = "hello"


class Origin:
    """A threaded HTTP server on a free port; ``answer`` (request -> Answer) is the application, ``seen`` what it was asked."""

    def __init__(self, answer: Callable[[Seen], Answer] | None = None, port: int | None = None) -> None:
        self.answer = answer or (lambda seen: Answer())
        self.is_healthy = True
        self.seen: list[Seen] = []
        self.port = port or free_port()
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # head and body in one packet
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else b""
                if self.path == HEALTH_PATH:
                    reply = Answer(200 if origin.is_healthy else 503, {"Cache-Control": "no-store"}, "ok")
                else:
                    seen = Seen(self.command, self.path, tuple(self.headers.items()), body)
                    origin.seen.append(seen)
                    reply = origin.answer(seen)
                content = reply.body.encode() if isinstance(reply.body, str) else reply.body
                self.send_response(reply.status)
                headers = reply.headers.items() if isinstance(reply.headers, dict) else reply.headers
                for name, value in headers:
                    self.send_header(name, value)
                if reply.status != 304:
                    self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                if self.command != "HEAD" and reply.status != 304:
                    self.wfile.write(content)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_PURGE = do_PROPFIND = handle_any

            def log_message(self, *arguments: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request: Any, client_address: Any) -> None:
                pass  # a client that went away

        self._server = Server(("127.0.0.1", self.port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def pages(self) -> list[str]:
        """URLs asked for so far."""
        return [seen.url for seen in self.seen]

    @property
    def last(self) -> Seen:
        return self.seen[-1]


@contextmanager
def origins(count: int = 2, answer: Callable[[Seen], Answer] | None = None) -> Iterator[list[Origin]]:
    with ExitStack() as cleanup:
        started = []
        for _ in range(count):
            origin = Origin(answer)
            origin.start()
            cleanup.callback(origin.stop)
            started.append(origin)
        yield started


def front_stack(folder: Path, config: dict[str, Any] | None = None, ports: tuple[int, ...] = (), **host: Any) -> Stack:
    """A stack of edge and accelerator whose app servers are what listens on ``ports``."""
    stack = make_stack(folder, config, layers=FRONT, **host)
    names = {f"app-{number}": Endpoint("127.0.0.1", port) for number, port in enumerate(ports, 1)}
    this: Host = replace(stack.hosts[0], layers=FRONT | {"appserver"})
    stack = replace(stack, hosts=(this,), endpoints={**stack.endpoints, **names})
    write_certificate(stack.state.rendered / "edge" / "certificate.pem")
    return stack


def write_certificate(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(_certificate())


@cache
def _certificate() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
