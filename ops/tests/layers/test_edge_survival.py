"""Parts die, are drained or reloaded while visitors come: no request that may be repeated fails."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest
from h2.config import H2Configuration
from h2.connection import ConnectionState, H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset
from origin import Answer, Front, Seen, running_front, wait_until

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.edge import haproxy

PAGES = {503: "<h1>Our own 503</h1>"}


def answer(seen: Seen) -> Answer:
    """Some pages are shared, some are built each time and take a moment."""
    if seen.path.startswith("/shared"):
        return Answer(200, {"Cache-Control": "max-age=1"}, "shared")
    time.sleep(0.01)
    return Answer(200, {}, "built")


@pytest.fixture
def front() -> Iterator[Front]:
    with running_front(pages=PAGES) as front:
        front.script(answer)
        yield front


class Http2Visitor:
    """Asks over one HTTP/2 connection, and like a browser ends what it has begun after a GOAWAY, then opens another."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        self.tls.set_alpn_protocols(["h2"])
        self.socket: ssl.SSLSocket | None = None

    def get(self, path: str) -> int:
        """The status of the whole answer; OSError when the connection ends before that."""
        if self.socket is None:
            self.socket = self.tls.wrap_socket(socket.create_connection(("127.0.0.1", self.port), 30))
            self.connection = H2Connection(H2Configuration(client_side=True))
            self.connection.initiate_connection()
        stream = self.connection.get_next_available_stream_id()
        head = [(":method", "GET"), (":scheme", "https"), (":authority", f"localhost:{self.port}"), (":path", path)]
        self.connection.send_headers(stream, head, end_stream=True)
        self.socket.sendall(self.connection.data_to_send())
        status, is_complete, may_go_on = 0, False, True
        while not is_complete:
            part = self.socket.recv(65536)
            if not part:
                raise OSError("the connection ended before the answer")
            for event in self.connection.receive_data(part):
                if isinstance(event, ResponseReceived):
                    status = int(dict(event.headers)[b":status"])
                elif isinstance(event, StreamEnded):
                    is_complete = True
                elif isinstance(event, StreamReset):
                    raise OSError("the stream was reset")
                elif isinstance(event, ConnectionTerminated):
                    # The library takes any GOAWAY for the end; this one says which streams will still be answered.
                    assert event.last_stream_id is not None and event.last_stream_id >= stream
                    may_go_on = False
                    self.connection.state_machine.state = ConnectionState.CLIENT_OPEN
            self.socket.sendall(self.connection.data_to_send())
        if not may_go_on:
            self.close()
        return status

    def close(self) -> None:
        if self.socket is not None:
            self.socket.close()
            self.socket = None


class Http1Visitor:
    def __init__(self, port: int) -> None:
        self.client = httpx.Client(verify=False, timeout=30, base_url=f"https://localhost:{port}")

    def get(self, path: str) -> int:
        return self.client.get(path).status_code

    def close(self) -> None:
        self.client.close()


@contextmanager
def load(front: Front, visitors: int = 6) -> Iterator[Callable[[], int]]:
    """Visitors with kept-alive HTTP/1.1 and HTTP/2 connections, until the end; every answer but 200 fails the test."""
    is_over = threading.Event()
    failures: list[str] = []
    counts = [0] * visitors

    def visit(number: int) -> None:
        visitor = (Http1Visitor, Http2Visitor)[number % 2](front.https)
        while not is_over.is_set():
            kind = "shared" if counts[number] % 2 else "built"
            try:
                status = visitor.get(f"/{kind}/{counts[number] % 7}")
                if status != 200:
                    failures.append(str(status))
            except (httpx.HTTPError, OSError, AssertionError) as error:
                failures.append(f"{type(visitor).__name__}: {error!r}")
                visitor.close()
                visitor = type(visitor)(front.https)
            counts[number] += 1
            time.sleep(0.002)
        visitor.close()

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(visitors)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: min(counts) > 5, "visitors")
        yield lambda: sum(counts)
        before = sum(counts)
        wait_until(lambda: sum(counts) > before + 100, "more visits")
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert not failures, f"{len(failures)} of {sum(counts)} failed: {failures[:3]}"


def test_no_page_fails_when_the_accelerator_is_killed_and_comes_back(front: Front) -> None:
    with ExitStack() as cleanup, load(front) as visits:
        for _ in range(2):
            process = front.processes["accelerator"]
            process.kill()
            process.wait()
            wait_until(lambda: front.server("pages", "accelerator").state == "down", "the edge to notice")
            now = visits()
            wait_until(lambda now=now: visits() > now + 50, "pages by way of the fallback")  # type: ignore[misc]
            assert "X-Cache" not in front.get("/built/x").headers
            front.processes["accelerator"] = cleanup.enter_context(front.restart("accelerator", "accelerator"))
            wait_until(lambda: front.server("pages", "accelerator").state == "up", "the accelerator seen again")
            wait_until(lambda: "X-Cache" in front.get("/built/x").headers, "pages by way of the accelerator")


def test_the_request_in_flight_is_asked_again_if_it_changes_nothing(front: Front) -> None:
    """The accelerator dies with a page half built: a GET is answered by the fallback, a POST is not sent twice."""
    is_asked, may_answer = threading.Event(), threading.Event()

    def slowly(seen: Seen) -> Answer:
        is_asked.set()
        may_answer.wait(10)
        return Answer(200, {}, "built")

    front.script(slowly)
    replies: dict[str, httpx.Response] = {}

    def ask(method: str) -> None:
        replies[method] = front.client.request(method, f"https://localhost:{front.https}/slow", content=b"")

    threads = [threading.Thread(target=ask, args=(method,)) for method in ("GET", "POST")]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(front.seen) == 2, "both to reach the application")
    front.processes["accelerator"].kill()
    front.processes["accelerator"].wait()
    wait_until(lambda: len(front.seen) == 3, "the page to be asked for again")
    may_answer.set()
    for thread in threads:
        thread.join()
    assert replies["GET"].status_code == 200 and replies["GET"].text == "built"
    assert replies["POST"].status_code == 502
    assert sorted(seen.method for seen in front.seen) == ["GET", "GET", "POST"]


def test_the_fallback_asks_no_more_at_once_than_there_are_workers(front: Front) -> None:
    front.processes["accelerator"].kill()
    front.processes["accelerator"].wait()
    wait_until(lambda: front.server("pages", "accelerator").state == "down", "the edge to notice")
    lock, running, most = threading.Lock(), [0], [0]

    def count(seen: Seen) -> Answer:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with lock:
            running[0] -= 1
        return Answer()

    front.script(count)
    replies: list[int] = []
    threads = [threading.Thread(target=lambda: replies.append(front.get("/x").status_code)) for _ in range(24)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [200] * 24
    limit = front.server("pages", "fallback").requests_max
    assert 1 <= most[0] <= limit == 4


def test_what_reaches_the_application_by_the_fallback_is_clean_too(front: Front) -> None:
    front.processes["accelerator"].kill()
    front.processes["accelerator"].wait()
    wait_until(lambda: front.server("pages", "accelerator").state == "down", "the edge to notice")
    front.script(lambda seen: Answer())
    front.get("/x?a=1&slipstream-bypass=bypass-secret&b=2", {"X-Slipstream-Bypass": "1", "X-Forwarded-For": "6.6.6.6"})
    assert front.last.url == "/x?a=1&b=2" and front.last.header("X-Slipstream-Bypass") is None
    assert front.last.header("X-Forwarded-For") == "127.0.0.1"
    front.get("/y?slipstream-bypass=bypass-secret")
    assert front.seen[-1].path == "/y" or front.seen[0].path == "/y"
    assert "bypass-secret" not in front.log("edge") + repr(front.seen)


def test_no_connection_is_lost_by_reloads(front: Front) -> None:
    host = front.stack.hosts[0]
    with load(front) as visits:
        for _ in range(10):
            front.carry_out(haproxy.reload(front.stack, host))
            now = visits()
            wait_until(lambda now=now: visits() > now + 20, "visits after the reload")  # type: ignore[misc]


def test_a_reload_with_a_mistake_changes_nothing(front: Front) -> None:
    configuration = front.stack.state.rendered / "edge" / "haproxy.cfg"
    configuration.write_text(configuration.read_text() + "\nnonsense\n")
    with pytest.raises(Complaint, match="checking the edge's configuration"):
        front.carry_out(haproxy.reload(front.stack, front.stack.hosts[0]))
    assert front.get("/built/1").status_code == 200


def test_no_page_fails_when_an_app_server_dies(front: Front) -> None:
    with load(front) as visits:
        front.apps[0].stop()
        wait_until(lambda: front.server("apps", "app-1").state == "down", "the balancer to notice")
        now = visits()
        wait_until(lambda: visits() > now + 50, "visits on one server")
        front.apps[0].start()
        wait_until(lambda: front.server("apps", "app-1").state == "up", "the server to be taken back")


def test_a_server_is_drained_weighted_and_taken_back(front: Front) -> None:
    host = front.stack.hosts[0]
    front.script(lambda seen: Answer())

    def spread(visits: int = 12) -> tuple[int, int]:
        for app in front.apps:
            app.seen.clear()
        for number in range(visits):
            front.get(f"/spread/{number}")
        return len(front.apps[0].seen), len(front.apps[1].seen)

    assert spread() == (6, 6)
    front.carry_out(haproxy.drain(front.stack, host, "app-1"))
    assert front.server("apps", "app-1").state == "drain" and front.server("upgrades", "app-1").state in ("drain", "down")
    assert spread() == (0, 12)
    front.carry_out(haproxy.ready(front.stack, host, "app-1"))
    assert front.server("apps", "app-1").state == "up"
    front.carry_out(haproxy.set_weight(front.stack, host, "app-1", 0))
    assert spread() == (0, 12)
    with pytest.raises(ValueError, match="0 to 100"):
        haproxy.set_weight(front.stack, host, "app-1", 300)


def test_a_pool_that_fails_all_its_checks_is_still_asked(front: Front) -> None:
    """Overload makes checks fail; turning every visitor away would only keep it so."""
    for app in front.apps:
        app.is_healthy = False
    wait_until(lambda: not any(front.server("apps", name).is_up for name in ("app-1", "app-2")), "both to fail their checks", 40)
    apps = front.stack.endpoint("edge.apps")
    assert httpx.get(f"http://{apps.netloc}/.slipstream/health").status_code == 503
    assert front.get("/built/1").status_code == 200


def test_nobody_behind_is_told_with_the_sites_page(front: Front) -> None:
    front.processes["accelerator"].kill()
    front.processes["accelerator"].wait()
    for app in front.apps:
        app.stop()
    reply = front.get("/")
    assert reply.status_code == 503 and reply.text == PAGES[503]
    assert reply.headers["Retry-After"] == "30" and reply.headers["Cache-Control"] == "no-store"
    assert len(reply.headers["X-Request-ID"]) == 32


@pytest.mark.parametrize("victim", ["master", "worker"])
def test_the_edge_starts_again_after_being_killed(front: Front, victim: str) -> None:
    master = front.processes["edge"]
    process = psutil.Process(master.pid)
    worker = process.children()[0]
    (process if victim == "master" else worker).kill()
    master.wait(10)
    worker.wait(10)
    with front.restart("edge", "edge"):
        wait_until(lambda: front.server("pages", "accelerator").state == "up", "the accelerator seen by the edge")
        assert front.get("/built/1").status_code == 200
