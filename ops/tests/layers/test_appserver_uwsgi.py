"""uWSGI on a real ``django-admin startproject``: what reaches a view, what an app server adds, and what a reload may not lose."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from contract_suite import ProductContract
from startproject import make_django_stack
from workshop import running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.application.django import document
from slipstream_ops.layers.appserver import uwsgi
from slipstream_ops.layers.appserver.vitals import AppServerVitals
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import Stack

VIEWS = """
import hashlib, os, threading, time
from django.http import FileResponse, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

VERSION = 1

@csrf_exempt
def body(request):
    return JsonResponse({"bytes": len(request.body), "sha1": hashlib.sha1(request.body).hexdigest(),
                         "length": request.headers.get("Content-Length")})

@csrf_exempt
def unread(request):
    return HttpResponse("not read")

def slow(request):
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("done")

BARRIER = threading.Barrier(3)

def meet(request):
    BARRIER.wait(10)
    return HttpResponse("met")

def facts(request):
    return JsonResponse({"pid": os.getpid(), "version": VERSION, "secure": request.is_secure(),
                         "address": request.META["REMOTE_ADDR"], "bypass": request.slipstream_bypass,
                         "cookies": len(request.COOKIES)})

def download(request):
    return FileResponse(open(__file__, "rb"))

urlpatterns = [path(view.__name__, view) for view in (body, unread, slow, facts, meet, download)]
"""


def make_stack(folder: Path, config: dict[str, Any] | None = None, **facts: Any) -> Stack:
    stack = make_django_stack(folder, config, **facts)
    (stack.project.root / "mysite" / "urls.py").write_text(VIEWS)
    for file in document.render(stack, stack.hosts[0]):
        execution.write_file(file)
    return stack


class TestUwsgi(ProductContract):
    layer = "appserver"
    server = "uwsgi"
    needs = ("application",)
    recorded = "uwsgi_stats.json"
    vitals_type = AppServerVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder)

    def assert_recorded(self, vitals: AppServerVitals) -> None:
        assert vitals.listen_queue_limit == 1024
        assert len(vitals.workers) == 2
        assert vitals.requests == 2
        assert vitals.busy == 0
        assert vitals.sent_bytes == 503
        assert all(worker.resident_bytes and worker.is_accepting for worker in vitals.workers if worker.requests)


class Instance:
    """One running stack and plain HTTP requests to its first instance."""

    def __init__(self, stack: Stack, processes: dict[str, Any]) -> None:
        self.stack, self.processes = stack, processes
        self.port = stack.endpoint("app-1").port

    def ask(self, path: str, method: str = "GET", body: Any = None, headers: dict[str, str] | None = None, **options: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.request(method, path, body, headers or {}, **options)
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def facts(self, **headers: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ask("/facts", headers=headers)[1])
        return found

    def reload(self) -> None:
        for action in uwsgi.reload(self.stack, self.stack.hosts[0]):
            execution.run_or_complain(action)  # type: ignore[arg-type]

    def vitals(self) -> AppServerVitals:
        source = uwsgi.vitals_sources(self.stack, self.stack.hosts[0])[0]
        return uwsgi.parse(ProductContract.ask(source.ask))

    @property
    def log(self) -> str:
        return (self.stack.state.root / "app-1.log").read_text()

    def request_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith('{"time":"')]


@contextmanager
def running_instance(**options: Any) -> Iterator[Instance]:
    with temporary_folder() as folder:
        stack = make_stack(folder, **options)
        with running_layers(stack, "application", "appserver") as processes:
            yield Instance(stack, processes)


@pytest.fixture(scope="module")
def instance() -> Iterator[Instance]:
    """With one upload and two static files, one of them with a hash in its name."""
    with temporary_folder() as folder:
        stack = make_stack(folder, media_url="/media/", media_root=folder / "site" / "media")
        for path, content in (("css/a.css", "a{}"), ("css/a.0123456789ab.css", "b{}"), ("plain", "x" * 300_000)):
            file = stack.state.static / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(content)
        (stack.project.root / "media").mkdir()
        (stack.project.root / "media" / "photo.webp").write_bytes(b"RIFF")
        with running_layers(stack, "application", "appserver") as processes:
            yield Instance(stack, processes)


def eventually(is_true: Callable[[], bool], timeout_seconds: float = 15) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_health_is_answered_for_any_host_and_kept_by_no_cache(instance: Instance) -> None:
    answer, body = instance.ask("/.slipstream/health", headers={"Host": "203.0.113.9"})
    assert (answer.status, body, answer.headers["Cache-Control"]) == (200, b"ok", "no-store")


def test_what_the_edge_says_reaches_the_view_and_the_log(instance: Instance) -> None:
    headers = {
        "X-Request-ID": "edge-1",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "203.0.113.7, 127.0.0.1",
        "X-Slipstream-Bypass": "1",
    }
    answer, body = instance.ask('/facts?token=secret&q="', headers=headers)
    facts = json.loads(body)
    assert facts["secure"] and facts["bypass"] and facts["address"] == "203.0.113.7"
    assert answer.headers["X-Request-ID"] == "edge-1"
    assert eventually(lambda: any(line.get("request_id") == "edge-1" for line in instance.request_lines()))
    line = next(line for line in instance.request_lines() if line.get("request_id") == "edge-1")
    assert (line["path"], line["status"], line["method"], line["client"]) == ("/facts", 200, "GET", "203.0.113.7")
    assert not any(line.get("path") == "/.slipstream/health" for line in instance.request_lines())
    assert "secret" not in instance.log  # queries carry tokens of password resets


def test_a_visitor_cannot_write_log_lines(instance: Instance) -> None:
    with socket.create_connection(("127.0.0.1", instance.port), 5) as raw:
        raw.sendall(b'GET /x","status":"200\\ HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert b"404" in raw.recv(4096)
    assert eventually(lambda: any('x","status' in line.get("path", "") for line in instance.request_lines()))


@pytest.mark.parametrize("size", [0, 1, 70_000, 2_000_000])
def test_a_chunked_body_reaches_the_view_whole(instance: Instance, size: int) -> None:
    sent = os.urandom(size)
    parts = (sent[start : start + 50_000] for start in range(0, size, 50_000))
    answer, body = instance.ask("/body", "POST", parts, {"Transfer-Encoding": "chunked"}, encode_chunked=True)
    assert answer.status == 200
    assert json.loads(body)["bytes"] == size


def test_a_large_body_reaches_the_view_whole(instance: Instance) -> None:
    answer, body = instance.ask("/body", "POST", b"z" * 2_000_000)
    assert (answer.status, json.loads(body)["bytes"]) == (200, 2_000_000)


def test_a_view_that_ignores_the_body_still_answers(instance: Instance) -> None:
    answer, body = instance.ask("/unread", "POST", b"z" * 2_000_000)
    assert (answer.status, body) == (200, b"not read")


def test_large_cookies_are_accepted(instance: Instance) -> None:
    cookies = "; ".join(f"c{number}={'v' * 1000}" for number in range(16))
    assert instance.facts(Cookie=cookies)["cookies"] == 16


def test_connections_are_not_offered_for_a_second_request(instance: Instance) -> None:
    assert instance.ask("/facts")[0].headers["Connection"] == "close"


@pytest.mark.parametrize(
    ("path", "kind", "lifetime"),
    [
        ("/static/css/a.css", "text/css", "public, max-age=3600"),
        ("/static/css/a.css?v=1", "text/css", "public, max-age=3600"),
        ("/static/css/a.0123456789ab.css", "text/css", "public, max-age=31536000, immutable"),
        ("/static/css/a.0123456789ab.css?v=1", "text/css", "public, max-age=31536000, immutable"),
        ("/media/photo.webp", "image/webp", "public, max-age=3600"),
    ],
)
def test_files_are_served_with_type_and_lifetime(instance: Instance, path: str, kind: str, lifetime: str) -> None:
    answer, _ = instance.ask(path)
    assert answer.status == 200
    assert (answer.headers["Content-Type"], answer.headers["Cache-Control"]) == (kind, lifetime)
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Last-Modified"]


def test_a_file_is_sent_whole_in_part_or_not_again(instance: Instance) -> None:
    whole, body = instance.ask("/static/plain")
    assert len(body) == 300_000
    part, body = instance.ask("/static/plain", headers={"Range": "bytes=10-19"})
    assert (part.status, len(body)) == (206, 10)
    same, body = instance.ask("/static/plain", headers={"If-Modified-Since": whole.headers["Last-Modified"]})
    assert (same.status, body) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/static/../rendered/app-1/uwsgi.ini", "/static/%2e%2e/rendered/app-1/uwsgi.ini", "/static/css/none.css"]
)
def test_nothing_outside_the_folder_is_served(instance: Instance, path: str) -> None:
    answer, body = instance.ask(path)
    assert answer.status == 404
    assert b"uwsgi" not in body
    assert "Cache-Control" not in answer.headers


def test_a_file_response_of_a_view_arrives_whole(instance: Instance) -> None:
    answer, body = instance.ask("/download")
    assert (answer.status, body.decode()) == (200, VIEWS)


def test_a_reload_takes_new_code_and_configuration_and_loses_no_request() -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
        failures: list[str] = []
        versions: set[int] = set()
        is_over = threading.Event()

        def visit() -> None:
            # Once more when the connection ended before any answer, as the balancer does: uWSGI's worker may have accepted
            # it in the instant between accept() and looking at it, when it believes to be idle and goes.
            while not is_over.is_set():
                for is_last in (False, True):
                    try:
                        versions.add(instance.facts()["version"])
                        break
                    except (ConnectionResetError, http.client.RemoteDisconnected) as error:
                        if is_last:
                            failures.append(repr(error))
                    except (OSError, http.client.HTTPException, ValueError) as error:
                        failures.append(repr(error))
                        break

        visitors = [threading.Thread(target=visit) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        try:
            before = {worker.pid for worker in instance.vitals().workers}
            for number in range(2, 5):
                urls = instance.stack.project.root / "mysite" / "urls.py"
                execution.write_file(File(urls, VIEWS.replace("VERSION = 1", f"VERSION = {number}")))
                later = time.time() + number  # Python compares whole seconds of sources with its compiled files
                os.utime(urls, (later, later))
                instance.reload()
                assert instance.facts()["version"] == number
            more = replace(
                instance.stack,
                config=instance.stack.config.model_copy(
                    update={"appserver": instance.stack.config.appserver.model_copy(update={"processes": 4})}
                ),
            )
            for file in uwsgi.render(more, more.hosts[0]):
                execution.write_file(file)
            instance.reload()
            workers = instance.vitals().workers
            assert len(workers) == 4
            assert not before & {worker.pid for worker in workers}
            instance.reload()  # one worker after the other again, after the master was executed anew
        finally:
            is_over.set()
            for visitor in visitors:
                visitor.join()
        assert failures == []
        assert versions == {1, 2, 3, 4}


@pytest.mark.parametrize("module", ["settings", "urls"])
def test_code_that_does_not_load_never_reaches_a_worker(module: str) -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
        assert eventually(lambda: all(worker.is_accepting for worker in instance.vitals().workers))
        before = {worker.pid for worker in instance.vitals().workers}
        (instance.stack.project.root / "mysite" / f"{module}.py").write_text("raise RuntimeError('half an edit')\n")
        with pytest.raises(execution.Complaint, match="loading the project's new code on trial") as complaint:
            instance.reload()
        assert "half an edit" in complaint.value.detail
        assert {worker.pid for worker in instance.vitals().workers} == before
        assert instance.ask("/facts")[0].status == 200


def test_a_runaway_request_is_ended_and_counted() -> None:
    with running_instance(config={"appserver": {"instances": 1, "request_timeout_seconds": 2}}) as instance:
        with pytest.raises((http.client.HTTPException, OSError)):
            instance.ask("/slow?seconds=60")
        assert instance.vitals().killed_for_time == 1
        assert instance.ask("/facts")[0].status == 200


def test_a_stop_finishes_the_request_in_progress() -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
        assert eventually(lambda: all(worker.is_accepting for worker in instance.vitals().workers))
        answers: list[bytes] = []
        visitor = threading.Thread(target=lambda: answers.append(instance.ask("/slow?seconds=2")[1]))
        visitor.start()
        assert eventually(lambda: instance.vitals().busy == 1)
        instance.processes["app-1"].send_signal(signal.SIGTERM)
        visitor.join()
        assert answers == [b"done"]
        assert instance.processes["app-1"].wait(10) == 0


def test_a_killed_master_leaves_nothing_behind() -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
        master = instance.processes["app-1"]
        workers = psutil.Process(master.pid).children(recursive=True)
        assert workers
        master.kill()
        assert eventually(lambda: not any(worker.is_running() for worker in workers))


def test_a_worker_that_was_killed_comes_back() -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
        os.kill(instance.facts()["pid"], signal.SIGKILL)
        assert eventually(lambda: all(w.is_accepting and w.pid for w in instance.vitals().workers))
        assert instance.ask("/facts")[0].status == 200


def test_threads_of_a_process_serve_at_the_same_time() -> None:
    config = {"appserver": {"instances": 1, "processes": 1, "threads": 3}}
    with running_instance(config=config) as instance:
        barrier_passed: list[bytes] = []
        visitors = [threading.Thread(target=lambda: barrier_passed.append(instance.ask("/meet")[1])) for _ in range(3)]
        for visitor in visitors:
            visitor.start()
        for visitor in visitors:
            visitor.join()
        assert barrier_passed == [b"met"] * 3
        instance.reload()
        assert instance.ask("/facts")[0].status == 200
