"""A scripted application behind the edge for tests, and stacks of the front layers alone: edge and accelerator."""

from __future__ import annotations

import datetime
import itertools
import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from contract_suite import ProductContract
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from workshop import free_port, make_stack, running, running_layers, temporary_folder

from slipstream.wire import HEALTH_PATH
from slipstream_ops import execution
from slipstream_ops.layers.contract import Exchange, Wait
from slipstream_ops.placement import Endpoint, Host, Stack, product_named

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
        self._connections: list[socket.socket] = []
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

            def get_request(self) -> tuple[socket.socket, Any]:
                connection, address = super().get_request()
                origin._connections.append(connection)
                return connection, address

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
            # Kept-alive connections end as well, as those of a process that dies do.
            for connection in self._connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
            self._connections.clear()


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


class Front:
    """A running edge and accelerator with scripted app servers behind; ``get`` asks as a visitor does."""

    def __init__(self, stack: Stack, apps: list[Origin], processes: dict[str, subprocess.Popen[bytes]]) -> None:
        self.stack, self.apps, self.processes = stack, apps, processes
        self.https = stack.endpoint("edge.https").port
        self.http = stack.endpoint("edge.http").port
        self.client = httpx.Client(verify=False, base_url=f"https://localhost:{self.https}", timeout=20)

    def script(self, answer: Callable[[Seen], Answer]) -> None:
        """From now on the application answers like this; what it was asked before is forgotten."""
        for app in self.apps:
            app.answer = answer
            app.seen.clear()

    def says(self, headers: dict[str, str] | list[tuple[str, str]] | None = None, body: str = "", status: int = 200) -> None:
        """The application answers everything so; without a ``body`` each answer has one of its own."""
        counter = itertools.count(1)
        self.script(lambda seen: Answer(status, headers or {}, body or f"answer {next(counter)}"))

    @property
    def seen(self) -> list[Seen]:
        return [seen for app in self.apps for seen in app.seen]

    @property
    def last(self) -> Seen:
        (seen,) = self.seen
        return seen

    def get(self, url: str, headers: dict[str, str] | None = None, method: str = "GET", **options: Any) -> httpx.Response:
        self.client.cookies.clear()
        return self.client.request(method, url, headers=headers, **options)

    def how(self, url: str, headers: dict[str, str] | None = None, **options: Any) -> str:
        """``hit``, ``miss`` or ``pass``."""
        return str(self.get(url, headers, **options).headers["X-Cache"])

    def raw(self, request: str | bytes) -> bytes:
        """The answer to these very bytes, sent over TLS."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with socket.create_connection(("127.0.0.1", self.https), 10) as plain, context.wrap_socket(plain) as connection:
            connection.sendall(request.encode() if isinstance(request, str) else request)
            answer = b""
            while part := connection.recv(65536):
                answer += part
            return answer

    def log(self, service: str) -> str:
        return (self.stack.state.root / f"{service}.log").read_text()

    def log_is_followed(self) -> bool:
        with suppress(httpx.HTTPError):
            self.client.get(f"http://{self.stack.endpoint('accelerator').netloc}/followed")
        return "/followed" in self.log("accelerator-log")

    def entries(self, service: str, layer: str, request_id: str) -> list[dict[str, Any]]:
        """Lines of a service's JSON log about one request, waited for: logs are written behind the answer."""

        def find() -> list[dict[str, Any]]:
            lines = [json.loads(line) for line in self.log(service).splitlines() if line.startswith("{") and line.endswith("}")]
            return [line for line in lines if line["request_id"] == request_id and line["layer"] == layer]

        wait_until(lambda: bool(find()), f"a line about {request_id} in the log of {service}")
        return find()

    def vitals(self, layer: str) -> Any:
        product = product_named(layer, str(self.stack.server_of(layer)))
        (source,) = product.vitals_sources(self.stack, self.stack.hosts[0])
        asked = execution.exchange(source.ask).decode() if isinstance(source.ask, Exchange) else execution.run(source.ask).output
        return product.parse(asked)

    def server(self, pool: str, name: str) -> Any:
        return next(s for p in self.vitals("edge").pools if p.name == pool for s in p.servers if s.name == name)

    def carry_out(self, actions: tuple[Any, ...]) -> None:
        for action in actions:
            if isinstance(action, Wait):
                assert execution.wait_for(action.probe, action.timeout_seconds) is None
            else:
                ProductContract.carry_out(action, self.processes)

    def restart(self, name: str, layer: str) -> Any:
        """A context in which a service that was killed runs again, as the process manager would start it."""
        services = product_named(layer, str(self.stack.server_of(layer))).services(self.stack, self.stack.hosts[0])
        service = next(service for service in services if service.name == name)
        return running(service, self.stack.state.root / f"{name}-again.log")


def wait_until(is_so: Callable[[], bool], what: str, timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_so():
        assert time.monotonic() < deadline, f"waited {timeout_seconds} s in vain for {what}"
        time.sleep(0.03)


@contextmanager
def running_front(
    config: dict[str, Any] | None = None,
    layers: tuple[str, ...] = ("accelerator", "edge"),
    pages: dict[int, str] | None = None,
    count: int = 2,
    **host: Any,
) -> Iterator[Front]:
    """Edge and accelerator in front of ``count`` scripted app servers; ``pages`` are the site's own error pages."""
    with temporary_folder() as folder, origins(count) as apps:
        stack = front_stack(folder, config, tuple(app.port for app in apps), **host)
        for status, html in (pages or {}).items():
            path = stack.state.rendered / "errors" / f"{status}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(html)
        with running_layers(stack, *layers) as processes:
            front = Front(stack, apps, processes)
            try:
                if "edge" in layers:
                    wait_until(lambda: front.server("pages", "accelerator").state == "up", "the accelerator seen by the edge")
                # Its writer joins the log where it is: what was before it came is in no line.
                wait_until(front.log_is_followed, "the accelerator's log to be followed")
                front.script(lambda seen: Answer())
                yield front
            finally:
                front.client.close()
