"""gunicorn with uvicorn's workers: a project that has an ASGI application only, alone and with WebSockets through both edges."""

from __future__ import annotations

import asyncio
import json
import ssl
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from contract_suite import ProductContract
from origin import write_certificate
from test_appserver_gunicorn import FILES, OUTSIDE, VIEWS, Instance, add_files, eventually, make_stack, visitors
from workshop import free_port, running_layers, temporary_folder

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.appserver.vitals import AppServerVitals
from slipstream_ops.lifecycle.build.interpreter import question_interpreter
from slipstream_ops.lifecycle.build.lending import lend_runtime
from slipstream_ops.lifecycle.build.survey import survey_project
from slipstream_ops.placement import Endpoint, Stack, product_named
from slipstream_ops.stack import StackFile

ASYNC_VIEWS = (
    VIEWS
    + """
import asyncio
from django.http import StreamingHttpResponse

async def nap(request):
    await asyncio.sleep(float(request.GET["seconds"]))
    return HttpResponse("rested")

async def stream(request):
    async def parts():
        for number in range(6):
            yield f"{number}\\n"
            await asyncio.sleep(0.5)
    return StreamingHttpResponse(parts(), headers={"Cache-Control": "no-store"})

urlpatterns += [path("nap", nap), path("stream", stream)]
"""
)

ASGI = """
import os
from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
django = get_asgi_application()

async def application(scope, receive, send):
    if scope["type"] != "websocket":
        await django(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": f"{scope['scheme']} {scope['client'][0]} {scope['path']}"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message["text"][::-1]})
"""


def make_asgi_stack(folder: Path, config: dict[str, Any] | None = None, **facts: Any) -> Stack:
    stack = make_stack(folder, config, ASYNC_VIEWS, wsgi="", asgi="mysite.asgi:application", **facts)
    package = stack.project.root / "mysite"
    (package / "wsgi.py").unlink()
    (package / "asgi.py").write_text(ASGI)
    settings = (package / "settings.py").read_text()
    (package / "settings.py").write_text(settings.replace("WSGI_APPLICATION = 'mysite.wsgi", "ASGI_APPLICATION = 'mysite.asgi"))
    return stack


class TestGunicornWithAsgi(ProductContract):
    layer = "appserver"
    server = "gunicorn"
    needs = ("application",)
    recorded = "gunicorn.json"
    vitals_type = AppServerVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_asgi_stack(folder)

    def assert_recorded(self, vitals: AppServerVitals) -> None:
        assert vitals.workers


@contextmanager
def running_asgi(config: dict[str, Any] | None = None, layers: tuple[str, ...] = ()) -> Iterator[Instance]:
    with temporary_folder() as folder:
        stack = make_asgi_stack(folder, config, media_url="/media/", media_root=folder / "site" / "media")
        add_files(stack)
        if layers:
            write_certificate(stack.state.rendered / "edge" / "certificate.pem")
        with running_layers(stack, "application", "appserver", *layers) as processes:
            yield Instance(stack, processes)


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    with running_asgi() as instance:
        yield instance


def test_what_the_edge_says_reaches_the_view_and_the_log(instance: Instance) -> None:
    headers = {"X-Request-ID": "edge-1", "X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.7, 127.0.0.1"}
    answer, body = instance.ask("/facts?token=secret", headers=headers)
    facts = json.loads(body)
    assert facts["secure"] and facts["address"] == "203.0.113.7" and answer.headers["X-Request-ID"] == "edge-1"
    assert eventually(lambda: any(line["request_id"] == "edge-1" for line in instance.request_lines()))
    line = next(line for line in instance.request_lines() if line["request_id"] == "edge-1")
    assert (line["path"], line["status"], line["client"], line["worker"]) == ("/facts", 200, "203.0.113.7", facts["pid"])
    assert "secret" not in instance.log


def test_health_is_answered_for_any_host(instance: Instance) -> None:
    answer, body = instance.ask("/.slipstream/health", headers={"Host": "203.0.113.9"})
    assert (answer.status, body, answer.headers["Cache-Control"]) == (200, b"ok", "no-store")


@pytest.mark.parametrize("size", [1, 2_000_000])
def test_a_chunked_body_reaches_the_view_whole(instance: Instance, size: int) -> None:
    answer, body = instance.ask("/body", "POST", iter([b"z" * size]), {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert (answer.status, json.loads(body)["bytes"]) == (200, size)


def test_large_cookies_are_accepted(instance: Instance) -> None:
    cookies = "; ".join(f"c{number}={'v' * 1000}" for number in range(16))
    assert instance.facts(Cookie=cookies)["cookies"] == 16


@pytest.mark.parametrize(("path", "kind", "lifetime"), FILES)
def test_files_are_served_with_type_and_lifetime(instance: Instance, path: str, kind: str, lifetime: str) -> None:
    answer, _ = instance.ask(path)
    assert answer.status == 200
    assert (answer.headers["Content-Type"].partition(";")[0], answer.headers["Cache-Control"]) == (kind, lifetime)
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]


def test_a_file_is_sent_whole_in_part_or_not_again(instance: Instance) -> None:
    whole, body = instance.ask("/static/plain")
    assert len(body) == 300_000
    part, body = instance.ask("/static/plain", headers={"Range": "bytes=10-19"})
    assert (part.status, len(body)) == (206, 10)
    same, body = instance.ask("/static/plain", headers={"If-Modified-Since": whole.headers["Last-Modified"]})
    assert (same.status, body) == (304, b"")
    head, body = instance.ask("/static/plain", "HEAD")
    assert (head.headers["Content-Length"], body) == ("300000", b"")


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_the_folder_is_served(instance: Instance, path: str) -> None:
    answer, body = instance.ask(path)
    assert answer.status == 404 and b"wsgi_app" not in body


def test_requests_and_failures_are_counted(instance: Instance) -> None:
    before = instance.vitals()
    instance.ask("/facts")
    instance.ask("/fails")
    assert eventually(lambda: instance.vitals().requests == before.requests + 2)
    after = instance.vitals()
    assert after.exceptions == before.exceptions + 1 and after.busy == 0


def test_a_request_that_takes_too_long_is_ended_and_one_that_streams_is_not() -> None:
    with running_asgi({"appserver": {"instances": 1, "request_timeout_seconds": 2, "processes": 1}}) as instance:
        assert instance.ask("/nap?seconds=30")[0].status == 503
        assert instance.vitals().killed_for_time == 1
        answer, body = instance.ask("/stream")
        assert (answer.status, body) == (200, b"0\n1\n2\n3\n4\n5\n")


def test_a_reload_takes_new_code_and_loses_no_request() -> None:
    with (
        running_asgi({"appserver": {"instances": 1, "processes": 2}}) as instance,
        visitors(lambda: instance.facts()["version"]) as versions,
    ):
        for number in range(2, 4):
            instance.change_version(number)
            instance.reload()
            assert instance.facts()["version"] == number
    assert set(versions) == {1, 2, 3}


@pytest.mark.parametrize("edge", ["haproxy", "nginx"])
def test_websockets_pages_and_files_through_the_whole_front(edge: str) -> None:
    with temporary_folder() as folder:
        config = {"edge": {"server": edge}, "appserver": {"instances": 1, "processes": 1}}
        stack = make_asgi_stack(folder, config, media_url="/media/", media_root=folder / "site" / "media")
        add_files(stack)
        this = replace(stack.hosts[0], layers=stack.hosts[0].layers | {"edge", "accelerator"})
        endpoints = dict(stack.endpoints)
        for layer in ("edge", "accelerator"):
            for need in product_named(layer, str(stack.server_of(layer))).endpoints(stack.config, this):
                socket = stack.state.run / need.socket if need.socket else None
                endpoints[need.name] = Endpoint("127.0.0.1", free_port(), socket)
        stack = replace(stack, hosts=(this,), endpoints=endpoints)
        write_certificate(stack.state.rendered / "edge" / "certificate.pem")
        port = stack.endpoint("edge.https").port
        with running_layers(stack, "application", "appserver", "accelerator", "edge"):

            async def talk() -> list[str | bytes]:
                context = ssl.create_default_context()
                context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
                async with websockets.connect(f"wss://localhost:{port}/chat", ssl=context) as connection:
                    heard = [await connection.recv()]
                    for message in ("abc", "x" * 50_000):
                        await connection.send(message)
                        heard.append(await connection.recv())
                    return heard

            assert asyncio.run(talk()) == ["wss 127.0.0.1 /chat", "cba", "x" * 50_000]
            with httpx.Client(verify=False, base_url=f"https://localhost:{port}", timeout=20) as client:
                assert client.get("/facts").json()["secure"]
                assert client.get("/static/css/a.0123456789ab.css").headers["Cache-Control"].endswith("immutable")
                assert client.get("/static/css/a.0123456789ab.css").headers["X-Cache"] == "hit"


@pytest.mark.parametrize("server", ["gunicorn", "uwsgi"])
def test_an_asgi_only_project_is_accepted_by_the_app_server_that_runs_it(server: str) -> None:
    with temporary_folder() as folder:
        stack = make_asgi_stack(folder)
        python = question_interpreter(Path(sys.executable), ())
        lend_runtime(stack.state, python)
        config = StackFile.model_validate({"appserver": {"server": server}})
        ask = partial(survey_project, stack.project.root, python, "mysite.settings", config, stack.state)
        if server == "gunicorn":
            found = ask()
            assert (found.wsgi, found.asgi) == ("", "mysite.asgi:application")
        else:
            with pytest.raises(Complaint, match=r'server = "gunicorn" under .appserver.*wsgi\.py'):
                ask()
