"""What nginx does with visitors: the same promises as HAProxy's, and where it keeps them in another way, that way."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
import websockets
from test_edge_nginx import NginxFront, running_nginx
from websockets.sync.server import ServerConnection, serve

from slipstream.wire import HEALTH_PATH

SHARED = {"Cache-Control": "max-age=60"}
PAGES = {status: f"<h1>Our own {status}</h1>" for status in (403, 404, 500, 503)}


@pytest.fixture(scope="module")
def front() -> Iterator[NginxFront]:
    with running_nginx({"site": {"names": ["localhost", "www.example.org"]}}, pages=PAGES) as front:
        yield front


# TLS and redirects ---------------------------------------------------------------------------------------------------------


def test_speaks_http2(front: NginxFront) -> None:
    front.says()
    with httpx.Client(http2=True, verify=False) as client:
        answer = client.get(f"https://localhost:{front.https}/h2?a=1", headers={"Cookie": "a=1; b=2"})
    assert answer.http_version == "HTTP/2"
    assert front.last.url == "/h2?a=1" and front.last.header("Cookie") == "a=1; b=2"
    assert front.last.header("Host") == f"localhost:{front.https}"
    (line,) = front.entries("edge", "edge", answer.headers["X-Request-ID"])
    assert (line["http"], line["alpn"], line["tls"]) == ("2.0", "h2", "TLSv1.3")


def handshake(front: NginxFront, **versions: ssl.TLSVersion) -> str | None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    for name, version in versions.items():
        setattr(context, name, version)
    with socket.create_connection(("127.0.0.1", front.https), 5) as plain, context.wrap_socket(plain) as connection:
        return connection.version()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_speaks_modern_tls_only(front: NginxFront) -> None:
    assert handshake(front) == "TLSv1.3"
    assert handshake(front, maximum_version=ssl.TLSVersion.TLSv1_2) == "TLSv1.2"
    with pytest.raises((ssl.SSLError, ConnectionError)):
        handshake(front, minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)


@pytest.mark.parametrize("host", ["localhost", "localhost:{http}", "LOCALHOST:{https}", "localhost:77"])
def test_plain_http_is_sent_to_https_at_the_right_port(front: NginxFront, host: str) -> None:
    front.says()
    name = host.format(http=front.http, https=front.https)
    answer = httpx.get(f"http://127.0.0.1:{front.http}/a/b?c=d&e=%20f", headers={"Host": name, "X-Forwarded-Proto": "https"})
    assert answer.status_code == 301
    assert answer.headers["Location"] == f"https://localhost:{front.https}/a/b?c=d&e=%20f"
    assert not front.seen


# What visitors may not say ---------------------------------------------------------------------------------------------------

CLAIMS = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "http",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Server": "evil.example",
    "Forwarded": "for=6.6.6.6;host=evil.example",
    "X-Real-IP": "6.6.6.6",
    "X-Slipstream-Bypass": "1",
    "X-Slipstream-Cookies": "1",
    "X-Slipstream-Stale": "serve",
    "X-Request-ID": "666",
    "X-Cache": "hit",
    "X-Host": "evil.example",
    "X-Rewrite-URL": "/evil",
    "True-Client-IP": "6.6.6.6",
    "Proxy": "http://6.6.6.6/",
    "Via": "1.1 evil",
}


@pytest.mark.parametrize("form", ["as-is", "lower", "underscore", "mixed", "twice"])
def test_claims_of_visitors_are_dropped(front: NginxFront, form: str) -> None:
    front.says()
    change = {
        "as-is": lambda name: name,
        "twice": lambda name: name,
        "lower": str.lower,
        "underscore": lambda name: name.replace("-", "_"),
        "mixed": lambda name: name.replace("-", "_", 1),
    }[form]
    claims = "".join(f"{change(name)}: {value}\r\n" for name, value in CLAIMS.items()) * (2 if form == "twice" else 1)
    front.raw(f"GET /claims HTTP/1.1\r\nHost: localhost:{front.https}\r\n{claims}Connection: close\r\n\r\n")
    seen = front.last
    assert seen.header("X-Forwarded-For") == "127.0.0.1"
    assert seen.header("X-Forwarded-Proto") == "https"
    assert seen.header("X-Forwarded-Host") == seen.header("Host") == f"localhost:{front.https}"
    assert seen.header("X-Forwarded-Port") == str(front.https)
    assert "6.6.6.6" not in repr(seen) and "evil" not in repr(seen) and "666" not in repr(seen).replace(str(front.https), "")
    assert not [name for name, _ in seen.headers if "slipstream" in name.lower() or "_" in name]


def test_claims_are_dropped_over_http2_too(front: NginxFront) -> None:
    front.says()
    with httpx.Client(http2=True, verify=False) as client:
        client.get(f"https://localhost:{front.https}/claims2", headers=CLAIMS)
    assert "6.6.6.6" not in repr(front.last) and "evil" not in repr(front.last)
    assert front.last.header("X-Forwarded-For") == "127.0.0.1"


def test_nobody_can_have_a_header_dropped_on_the_way(front: NginxFront) -> None:
    """ "Connection: X" asks the next server to drop X, which would make the application believe that a page came by HTTP."""
    front.says()
    names = "X-Forwarded-Proto, X-Forwarded-For, X-Request-ID, X-Forwarded-Host, Host, Cookie, close"
    front.raw(f"GET /hop HTTP/1.1\r\nHost: localhost:{front.https}\r\nCookie: sessionid=1\r\nConnection: {names}\r\n\r\n")
    assert front.last.header("X-Forwarded-Proto") == "https" and front.last.header("X-Forwarded-For") == "127.0.0.1"
    assert front.last.header("Cookie") == "sessionid=1" and front.last.header("X-Request-ID")


@pytest.mark.parametrize(
    "head",
    [
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-A : 1\r\nConnection: close\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_requests_that_can_be_read_in_two_ways_are_refused(front: NginxFront, head: str) -> None:
    front.says()
    assert front.raw(head).startswith(b"HTTP/1.1 400")
    assert not front.seen


def test_a_chunked_body_with_a_length_is_read_in_one_way(front: NginxFront) -> None:
    front.says()
    body = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = f"POST /outer HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nTransfer-Encoding: chunked\r\n"
    front.raw(head + "Connection: close\r\n\r\n" + body)
    assert "/smuggled" not in [seen.url for seen in front.seen]


@pytest.mark.parametrize(
    ("lines", "statuses"),
    [
        ([("Cookie", "a=" + "x" * 20_000)], {200}),
        ([("Cookie", "a=" + "x" * 29_000)], {200, 400}),
        ([(f"X-{number}", "x") for number in range(70)], {200}),
        ([(f"X-{number}", "x" * 250) for number in range(90)], {200, 431}),
        ([(f"X-{number}", "x") for number in range(150)], {400}),
        ([("Cookie", "a=" + "x" * 100_000)], {400}),
    ],
)
def test_a_large_head_harms_nobody_else(front: NginxFront, lines: list[tuple[str, str]], statuses: set[int]) -> None:
    """A head that one layer takes and the next refuses would look like a dying accelerator."""
    front.says()
    for _ in range(3):
        assert front.get("/large", dict(lines)).status_code in statuses
        assert front.who_answered("/small") == "accelerator"
    assert front.get("/small").headers["X-Cache"] == "miss"


def test_only_websockets_are_upgraded(front: NginxFront) -> None:
    front.says()
    front.raw(
        f"GET /h2c HTTP/1.1\r\nHost: localhost:{front.https}\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n"
        "Connection: Upgrade, HTTP2-Settings, close\r\n\r\n"
    )
    assert front.last.header("Upgrade") is None and front.last.header("HTTP2-Settings") is None


# A balancer or CDN in front ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def behind() -> Iterator[NginxFront]:
    config = {"edge": {"trusted_proxies": ["127.0.0.1", "10.0.0.0/8"]}, "site": {"names": ["www.example.org"]}}
    with running_nginx(config) as front:
        yield front


@pytest.mark.parametrize(
    ("said", "arrives", "client"),
    [
        ("1.2.3.4", "1.2.3.4, 127.0.0.1", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4", "1.2.3.4, 127.0.0.1", "1.2.3.4"),
        ("6.6.6.6, 1.2.3.4, 10.1.1.1", "1.2.3.4, 10.1.1.1, 127.0.0.1", "1.2.3.4"),
        ("nonsense", "127.0.0.1", "127.0.0.1"),
        ("6.6.6.6, nonsense, 10.1.1.1", "10.1.1.1, 127.0.0.1", "10.1.1.1"),
        ("2001:db8::1", "2001:db8::1, 127.0.0.1", "2001:db8::1"),
    ],
)
def test_a_trusted_proxy_is_believed_and_what_it_repeats_is_not(behind: NginxFront, said: str, arrives: str, client: str) -> None:
    behind.says()
    answer = behind.get("/", {"X-Forwarded-For": said, "X-Forwarded-Proto": "https", "X-Request-ID": "666"})
    assert behind.last.header("X-Forwarded-For") == arrives
    assert behind.last.header("X-Request-ID") == answer.headers["X-Request-ID"] != "666"
    (line,) = behind.entries("edge", "edge", answer.headers["X-Request-ID"])
    assert line["client"] == client


def test_two_headers_of_a_trusted_proxy_are_one_chain(behind: NginxFront) -> None:
    behind.says()
    behind.raw(
        "GET / HTTP/1.1\r\nHost: www.example.org\r\nX-Forwarded-For: 1.2.3.4\r\nX-Forwarded-For: 10.1.1.1\r\n"
        "Connection: close\r\n\r\n"
    )
    assert behind.last.header("X-Forwarded-For") == "1.2.3.4, 10.1.1.1, 127.0.0.1"


def test_the_name_that_a_trusted_proxy_was_asked_for_counts(behind: NginxFront) -> None:
    behind.says()
    answer = behind.get("/", {"Host": "origin.internal", "X-Forwarded-Host": "WWW.example.org", "X-Forwarded-Proto": "https"})
    assert answer.status_code == 200
    for name in ("Host", "X-Forwarded-Host"):
        assert behind.last.header(name) == "www.example.org"
    assert behind.last.header("X-Forwarded-Port") == "443"
    behind.says()
    behind.get("/", {"Host": "www.example.org", "X-Forwarded-Host": "evil/<x>"})
    assert behind.last.header("X-Forwarded-Host") == "www.example.org"


def test_a_trusted_proxy_that_ends_tls_is_not_redirected(behind: NginxFront) -> None:
    behind.says()
    url, host = f"http://127.0.0.1:{behind.http}/a?b", {"Host": "www.example.org"}
    assert httpx.get(url, headers={**host, "X-Forwarded-Proto": "https"}).status_code == 200
    assert behind.last.header("X-Forwarded-Proto") == "https"
    for headers in (host, {**host, "X-Forwarded-Proto": "http"}):
        assert httpx.get(url, headers=headers).headers["Location"] == "https://www.example.org/a?b"
    answer = behind.get("/a", {**host, "X-Forwarded-Proto": "http"})
    assert answer.headers["Location"] == "https://www.example.org/a"


# Request ids, pages, health ----------------------------------------------------------------------------------------------------


def test_one_request_id_goes_through_every_log(front: NginxFront) -> None:
    front.says()
    answer = front.get("/id?q=%22%5C", {"X-Request-ID": "mine", "User-Agent": '"\\'})
    request_id = answer.headers["X-Request-ID"]
    assert len(request_id) == 32 and int(request_id, 16)
    assert front.last.header("X-Request-ID") == request_id
    (edge,) = front.entries("edge", "edge", request_id)
    (accelerator,) = front.entries("accelerator-log", "accelerator", request_id)
    (balancer,) = front.entries("edge", "balancer", request_id)
    assert edge["url"] == accelerator["url"] == balancer["url"] == "/id?q=%22%5C"
    assert edge["status"] == accelerator["status"] == balancer["status"] == 200
    assert edge["cache"] == accelerator["cache"] == "miss" and balancer["server"] in ("app-1", "app-2")
    assert edge["server"] == "accelerator" and edge["milliseconds"]["active"] >= 0


def test_every_line_of_the_log_is_json(front: NginxFront) -> None:
    front.says()
    front.raw('GET /"\\x HTTP/1.1\r\nHost: "\r\nConnection: close\r\n\r\n')
    front.raw("rubbish\r\n\r\n")
    front.raw('G"ET / HTTP/1.1\r\nHost: localhost\r\n\r\n')
    marker = front.get("/marker").headers["X-Request-ID"]
    front.entries("edge", "edge", marker)
    for line in front.log("edge").splitlines():
        if line.startswith("{"):
            assert json.loads(line)["status"] >= 200


def test_every_request_has_an_id_of_its_own(front: NginxFront) -> None:
    front.says(SHARED)
    assert len({front.get("/shared").headers["X-Request-ID"] for _ in range(5)}) == 5


def test_the_edges_errors_are_the_sites_pages(front: NginxFront) -> None:
    answer = front.get("/.slipstream/accelerator")
    assert (answer.status_code, answer.text) == (404, PAGES[404])
    assert answer.headers["X-Request-ID"]
    answer = front.get("/", {"Host": "a/b"})
    assert answer.status_code == 400 and "<h1>Bad request</h1>" in answer.text


def test_the_health_page_is_the_edges_own(front: NginxFront) -> None:
    front.says()
    assert front.get(HEALTH_PATH).status_code == 200
    apps = front.stack.endpoint("edge.apps")
    assert httpx.get(f"http://{apps.netloc}{HEALTH_PATH}").status_code == 200
    assert httpx.Client(transport=httpx.HTTPTransport(uds=str(apps.socket))).get(f"http://x{HEALTH_PATH}").status_code == 200
    assert not front.seen


def test_a_visitor_who_sends_slowly_is_not_waited_for(front: NginxFront) -> None:
    """Slowloris: no app server and no accelerator thread is taken by a head that does not come to its end."""
    front.says()
    with socket.create_connection(("127.0.0.1", front.http), 15) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        connection.settimeout(15)
        try:
            assert connection.recv(100) == b""  # nginx ends the connection without a word
        except ConnectionResetError:
            pass
    assert not front.seen


# WebSockets ------------------------------------------------------------------------------------------------------------------


@contextmanager
def websocket_server(port: int, seen: list[str]) -> Iterator[None]:
    def echo(connection: ServerConnection) -> None:
        assert connection.request is not None
        seen.append(f"{connection.request.path} {connection.request.headers.get('X-Forwarded-Proto')}")
        for message in connection:
            connection.send(message)

    def process(connection: ServerConnection, request: object) -> object:
        return connection.respond(200, "ok") if getattr(request, "path", "") == HEALTH_PATH else None

    with serve(echo, "127.0.0.1", port, process_request=process) as server:  # type: ignore[arg-type]
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield
        server.shutdown()
        thread.join()


def test_websockets_reach_the_app_servers() -> None:
    with running_nginx(count=1) as front:
        front.apps[0].stop()
        seen: list[str] = []
        with websocket_server(front.apps[0].port, seen):

            async def talk() -> list[str | bytes]:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                url = f"wss://localhost:{front.https}/chat?room=1&slipstream-bypass=bypass-secret"
                async with websockets.connect(url, ssl=context) as connection:
                    answers = []
                    for message in ("one", "two", "three" * 10_000):
                        await connection.send(message)
                        answers.append(await connection.recv())
                    return answers

            assert asyncio.run(talk()) == ["one", "two", "three" * 10_000]
            assert seen == ["/chat?room=1 https"]
            assert front.vitals("accelerator").pipes == 0


# What the accelerator cannot see ---------------------------------------------------------------------------------------------


def test_who_may_purge_is_decided_here() -> None:
    """Every connection to the accelerator comes from this host, which may purge."""
    config = {"edge": {"trusted_proxies": ["127.0.0.1"]}, "accelerator": {"purgers": ["127.0.0.1", "192.0.2.0/24"]}}
    with running_nginx(config) as front:
        front.says(SHARED)
        host = {"Host": "localhost", "X-Forwarded-Proto": "https"}
        assert (front.how("/page", host), front.how("/page", host)) == ("miss", "hit")
        assert front.get("/page", {**host, "X-Forwarded-For": "203.0.113.9"}, method="PURGE").status_code == 405
        assert front.how("/page", host) == "hit"
        answer = front.get("/page", host, method="PURGE")
        assert answer.status_code == 200
        assert front.how("/page", host) == "miss"


def test_the_application_is_told_the_visitor_by_way_of_the_accelerator() -> None:
    with running_nginx({"edge": {"trusted_proxies": ["127.0.0.1"]}}) as front:
        front.says()
        front.get("/who", {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"})
        assert str(front.last.header("X-Forwarded-For")).split(",")[0] == "203.0.113.9"


def test_dates_are_the_applications_own(front: NginxFront) -> None:
    """Caches in front count an answer's age from them."""
    date = "Sun, 06 Nov 1994 08:49:37 GMT"
    front.says({"Cache-Control": "no-store", "Date": date})
    assert date in front.get("/dated").headers["Date"]


def test_an_answer_that_streams_is_passed_on_as_it_comes() -> None:
    with running_nginx(count=1) as front:
        front.apps[0].stop()
        may_go_on = threading.Event()

        def serve_stream(listener: socket.socket) -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                asked = connection.recv(65536)
                if b"GET /events" in asked:
                    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
                    connection.sendall(head + b"data: one\n\n")
                    may_go_on.wait(15)
                    connection.sendall(b"data: two\n\n")
                else:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                connection.close()

        with socket.create_server(("127.0.0.1", front.apps[0].port)) as listener:
            thread = threading.Thread(target=serve_stream, args=(listener,))
            thread.start()
            try:
                with front.client.stream("GET", "/events") as answer:
                    parts = answer.iter_bytes()
                    assert next(parts) == b"data: one\n\n"
                    may_go_on.set()
                    assert b"".join(parts) == b"data: two\n\n"
            finally:
                may_go_on.set()
                listener.shutdown(socket.SHUT_RDWR)
        thread.join()
