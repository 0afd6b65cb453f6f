"""gunicorn on a real ``django-admin startproject``: bodies, files, logs, limits, and what a reload may not lose."""

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
from slipstream_ops.layers.appserver import gunicorn
from slipstream_ops.layers.appserver.vitals import AppServerVitals
from slipstream_ops.placement import Stack

VIEWS = """
import hashlib, os, time
from django.http import FileResponse, HttpResponse, JsonResponse
from django.urls import path
from django.views.decorators.csrf import csrf_exempt

VERSION = 1

@csrf_exempt
def body(request):
    return JsonResponse({"bytes": len(request.body), "sha1": hashlib.sha1(request.body).hexdigest()})

@csrf_exempt
def unread(request):
    return HttpResponse("not read")

def slow(request):
    time.sleep(float(request.GET["seconds"]))
    return HttpResponse("done")

def facts(request):
    return JsonResponse({"pid": os.getpid(), "version": VERSION, "secure": request.is_secure(),
                         "address": request.META["REMOTE_ADDR"], "script": request.META.get("SCRIPT_NAME", ""),
                         "bypass": request.slipstream_bypass, "cookies": len(request.COOKIES)})

def download(request):
    return FileResponse(open(__file__, "rb"))

def fails(request):
    raise RuntimeError("a mistake")

urlpatterns = [path("body", body), path("unread", unread), path("slow", slow), path("facts", facts),
               path("download", download), path("fails", fails)]
"""


def make_stack(folder: Path, config: dict[str, Any] | None = None, views: str = VIEWS, **facts: Any) -> Stack:
    appserver = {"server": "gunicorn", **(config or {}).get("appserver", {})}
    stack = make_django_stack(folder, {**(config or {}), "appserver": appserver}, **facts)
    (stack.project.root / "mysite" / "urls.py").write_text(views)
    for file in document.render(stack, stack.hosts[0]):
        execution.write_file(file)
    return stack


class TestGunicorn(ProductContract):
    layer = "appserver"
    server = "gunicorn"
    needs = ("application",)
    recorded = "gunicorn.json"
    vitals_type = AppServerVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder)

    def assert_recorded(self, vitals: AppServerVitals) -> None:
        assert vitals.listen_queue == 0 and vitals.listen_queue_limit == 1024
        assert len(vitals.workers) == 2
        assert vitals.requests == 5 and vitals.exceptions == 1 and vitals.killed_for_time == 1
        assert vitals.busy == 0 and vitals.sent_bytes > 0
        assert all(worker.resident_bytes and worker.is_accepting for worker in vitals.workers)


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

    def change_version(self, number: int) -> None:
        urls = self.stack.project.root / "mysite" / "urls.py"
        urls.write_text(urls.read_text().replace(f"VERSION = {number - 1}", f"VERSION = {number}"))
        later = time.time() + number  # Python compares whole seconds of sources with its compiled files
        os.utime(urls, (later, later))

    def reload(self) -> None:
        for action in gunicorn.reload(self.stack, self.stack.hosts[0]):
            execution.run_or_complain(action)  # type: ignore[arg-type]

    def vitals(self) -> AppServerVitals:
        source = gunicorn.vitals_sources(self.stack, self.stack.hosts[0])[0]
        return gunicorn.parse(ProductContract.ask(source.ask))

    @property
    def log(self) -> str:
        return (self.stack.state.root / "app-1.log").read_text()

    def request_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.splitlines() if line.startswith('{"time":') and '"appserver"' in line]


@contextmanager
def running_instance(**options: Any) -> Iterator[Instance]:
    with temporary_folder() as folder:
        stack = make_stack(folder, **options)
        with running_layers(stack, "application", "appserver") as processes:
            yield Instance(stack, processes)


def add_files(stack: Stack) -> None:
    """Two static files, one of them with a hash in its name, and one upload."""
    for path, content in (("css/a.css", "a{}"), ("css/a.0123456789ab.css", "b{}"), ("plain", "x" * 300_000)):
        file = stack.state.static / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
    (stack.project.root / "media").mkdir()
    (stack.project.root / "media" / "photo.webp").write_bytes(b"RIFF")
    (stack.project.root / "media" / "a.0123456789ab.css").write_bytes(b"an upload that looks like a hashed name")


@pytest.fixture(scope="module", params=["sync", "gthread"])
def instance(request: pytest.FixtureRequest) -> Iterator[Instance]:
    with temporary_folder() as folder:
        config = {"appserver": {"threads": 1 if request.param == "sync" else 3}}
        stack = make_stack(folder, config, media_url="/media/", media_root=folder / "site" / "media")
        add_files(stack)
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
        "SCRIPT_NAME": "/evil",
    }
    answer, body = instance.ask('/facts?token=secret&q="', headers=headers)
    facts = json.loads(body)
    assert facts["secure"] and facts["bypass"] and facts["address"] == "203.0.113.7" and not facts["script"]
    assert answer.headers["X-Request-ID"] == "edge-1"
    assert eventually(lambda: any(line["request_id"] == "edge-1" for line in instance.request_lines()))
    line = next(line for line in instance.request_lines() if line["request_id"] == "edge-1")
    assert (line["path"], line["status"], line["method"], line["client"]) == ("/facts", 200, "GET", "203.0.113.7")
    assert line["instance"] == "app-1" and line["worker"] == facts["pid"]
    assert "secret" not in instance.log  # queries carry tokens of password resets


def test_a_visitor_cannot_write_log_lines(instance: Instance) -> None:
    with socket.create_connection(("127.0.0.1", instance.port), 5) as raw:
        raw.sendall(b'GET /x","status":"200\\ HTTP/1.1\r\nHost: localhost\r\n\r\n')
        assert b"404" in raw.recv(4096)
    assert eventually(lambda: any('x","status' in line["path"] for line in instance.request_lines()))


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


def test_large_cookies_and_long_addresses_are_accepted(instance: Instance) -> None:
    cookies = "; ".join(f"c{number}={'v' * 1000}" for number in range(16))
    assert instance.facts(Cookie=cookies)["cookies"] == 16
    assert instance.ask("/facts?" + "q" * 20_000)[0].status == 200


def test_connections_are_not_offered_for_a_second_request(instance: Instance) -> None:
    assert instance.ask("/facts")[0].headers["Connection"] == "close"


FILES = [
    ("/static/css/a.css", "text/css", "max-age=3600, public"),
    ("/static/css/a.css?v=1", "text/css", "max-age=3600, public"),
    ("/static/css/a.0123456789ab.css", "text/css", "max-age=31536000, public, immutable"),
    ("/media/photo.webp", "image/webp", "max-age=3600, public"),
    ("/media/a.0123456789ab.css", "text/css", "max-age=3600, public"),
]
OUTSIDE = ["/static/../rendered/app-1/gunicorn.conf.py", "/static/%2e%2e/rendered/app-1/gunicorn.conf.py", "/static/css/none.css"]


@pytest.mark.parametrize(("path", "kind", "lifetime"), FILES)
def test_files_are_served_with_type_and_lifetime(instance: Instance, path: str, kind: str, lifetime: str) -> None:
    answer, _ = instance.ask(path)
    assert answer.status == 200
    assert (answer.headers["Content-Type"].partition(";")[0], answer.headers["Cache-Control"]) == (kind, lifetime)
    assert answer.headers.get_all("X-Content-Type-Options") == ["nosniff"]
    assert answer.headers["Last-Modified"] and "Access-Control-Allow-Origin" not in answer.headers


def test_a_file_is_sent_whole_in_part_or_not_again(instance: Instance) -> None:
    whole, body = instance.ask("/static/plain")
    assert len(body) == 300_000
    part, body = instance.ask("/static/plain", headers={"Range": "bytes=10-19"})
    assert (part.status, len(body)) == (206, 10)
    same, body = instance.ask("/static/plain", headers={"If-Modified-Since": whole.headers["Last-Modified"]})
    assert (same.status, body) == (304, b"")


def test_an_upload_is_there_at_once(instance: Instance) -> None:
    (instance.stack.project.root / "media" / "later.txt").write_text("just now")
    assert instance.ask("/media/later.txt")[1] == b"just now"


@pytest.mark.parametrize("path", OUTSIDE)
def test_nothing_outside_the_folder_is_served(instance: Instance, path: str) -> None:
    answer, body = instance.ask(path)
    assert answer.status == 404
    assert b"gunicorn" not in body and "Cache-Control" not in answer.headers


def test_a_file_response_of_a_view_arrives_whole(instance: Instance) -> None:
    answer, body = instance.ask("/download")
    assert (answer.status, body.decode()) == (200, VIEWS)


def test_requests_and_failures_are_counted(instance: Instance) -> None:
    before = instance.vitals()
    instance.ask("/facts")
    instance.ask("/fails")
    instance.ask("/.slipstream/health")
    assert eventually(lambda: instance.vitals().requests == before.requests + 2)
    after = instance.vitals()
    assert after.exceptions == before.exceptions + 1 and after.busy == 0
    assert after.average_milliseconds > 0 and after.sent_bytes > before.sent_bytes
    assert after.listen_queue == 0 and after.listen_queue_limit == 1024


def test_processes_have_names(instance: Instance) -> None:
    master = psutil.Process(instance.processes["app-1"].pid)
    assert any("app-1" in word for word in master.cmdline())
    assert all("app-1" in " ".join(worker.cmdline()) for worker in master.children())


def visit_until(is_over: threading.Event, ask: Callable[[], Any], failures: list[str], answers: list[Any]) -> None:
    """One visitor; a connection that ended before any answer is tried once more, as the balancer does."""
    while not is_over.is_set():
        for is_last in (False, True):
            try:
                answers.append(ask())
                break
            except (ConnectionResetError, http.client.RemoteDisconnected) as error:
                if is_last:
                    failures.append(repr(error))
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures.append(repr(error))
                break


@contextmanager
def visitors(ask: Callable[[], Any], count: int = 3) -> Iterator[list[Any]]:
    is_over, failures, answers = threading.Event(), list[str](), list[Any]()
    threads = [threading.Thread(target=visit_until, args=(is_over, ask, failures, answers)) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    assert failures == []


def with_processes(stack: Stack, processes: int) -> Stack:
    appserver = stack.config.appserver.model_copy(update={"processes": processes})
    return replace(stack, config=stack.config.model_copy(update={"appserver": appserver}))


@pytest.mark.parametrize("threads", [1, 3])
def test_a_reload_takes_new_code_and_configuration_and_loses_no_request(threads: int) -> None:
    with running_instance(config={"appserver": {"instances": 1, "threads": threads}}) as instance:
        with visitors(lambda: instance.facts()["version"]) as versions:
            before = {worker.pid for worker in instance.vitals().workers}
            for number in range(2, 5):
                instance.change_version(number)
                instance.reload()
                assert instance.facts()["version"] == number
            instance.stack = with_processes(instance.stack, 4)
            for file in gunicorn.render(instance.stack, instance.stack.hosts[0]):
                execution.write_file(file)
            instance.reload()
            workers = instance.vitals().workers
            assert len(workers) == 4
            assert not before & {worker.pid for worker in workers}
            instance.reload()  # one worker after the other again
            assert len(instance.vitals().workers) == 4
        assert set(versions) == {1, 2, 3, 4}


def test_gunicorns_own_reload_loses_no_request_either() -> None:
    """HUP, as an operator may send it: visitors wait while the new workers load."""
    with (
        running_instance(config={"appserver": {"instances": 1}}) as instance,
        visitors(lambda: instance.facts()["version"]),
    ):
        for number in range(2, 5):
            instance.change_version(number)
            instance.processes["app-1"].send_signal(signal.SIGHUP)
            assert eventually(lambda number=number: all(instance.facts()["version"] == number for _ in range(8)))  # type: ignore[misc]


def test_code_that_does_not_load_never_reaches_a_worker() -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
        before = {worker.pid for worker in instance.vitals().workers}
        (instance.stack.project.root / "mysite" / "settings.py").write_text("raise RuntimeError('half an edit')\n")
        with pytest.raises(execution.Complaint, match="loading the project's new code on trial") as complaint:
            instance.reload()
        assert "half an edit" in complaint.value.detail
        assert {worker.pid for worker in instance.vitals().workers} == before
        assert instance.ask("/facts")[0].status == 200


@pytest.mark.parametrize("threads", [1, 2])
def test_a_runaway_request_is_ended_and_counted(threads: int) -> None:
    config = {"appserver": {"instances": 1, "request_timeout_seconds": 2, "threads": threads}}
    with running_instance(config=config) as instance:
        count = len(instance.vitals().workers)
        try:
            assert instance.ask("/slow?seconds=60")[0].status >= 500
        except (http.client.HTTPException, OSError):
            pass
        assert eventually(lambda: instance.vitals().killed_for_time == 1)
        assert eventually(lambda: sum(worker.is_accepting for worker in instance.vitals().workers) == count)
        assert instance.ask("/facts")[0].status == 200


def test_a_stop_finishes_the_request_in_progress() -> None:
    with running_instance(config={"appserver": {"instances": 1}}) as instance:
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
        count, gone = len(instance.vitals().workers), instance.facts()["pid"]
        os.kill(gone, signal.SIGKILL)
        assert eventually(
            lambda: sum(worker.is_accepting and worker.pid != gone for worker in instance.vitals().workers) == count
        )
        assert instance.ask("/facts")[0].status == 200


def test_a_setting_that_gunicorn_does_not_know_is_refused() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder)
        for file in gunicorn.render(stack, stack.hosts[0]):
            execution.write_file(replace(file, content=file.content + "\nlimit_request_feilds = 3\n"))
        result = execution.run(gunicorn.check(stack, stack.hosts[0])[0])
        assert not result.succeeded and "limit_request_feilds" in result.transcript
