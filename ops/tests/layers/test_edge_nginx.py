"""nginx passes the contract of every product, runs unprivileged, and starts over what a killed predecessor left."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from contract_suite import ProductContract
from origin import Answer, Front, front_stack, origins, wait_until
from workshop import free_port, running, running_layers, start_preparations, temporary_folder

from slipstream.wire import HEALTH_PATH
from slipstream_ops import execution
from slipstream_ops.layers.contract import WriteFile
from slipstream_ops.layers.edge import nginx
from slipstream_ops.layers.edge.nginx.rendering import CLAIMS
from slipstream_ops.layers.edge.timeouts import Timeouts
from slipstream_ops.layers.edge.vitals import EdgeVitals
from slipstream_ops.placement import Endpoint, Stack


class NginxFront(Front):
    """nginx does not tell what it thinks of the servers behind it; the log says who answered."""

    def carry_out(self, actions: tuple[Any, ...]) -> None:
        for action in actions:
            if isinstance(action, WriteFile):
                execution.write_file(action.file)
            else:
                super().carry_out((action,))

    def who_answered(self, url: str, layer: str = "edge", **options: Any) -> str:
        request_id = self.get(url, **options).headers["X-Request-ID"]
        return str(self.entries("edge", layer, request_id)[-1]["server"])


@contextmanager
def running_nginx(
    config: dict[str, Any] | None = None,
    layers: tuple[str, ...] = ("accelerator", "edge"),
    pages: dict[int, str] | None = None,
    count: int = 2,
    **host: Any,
) -> Iterator[NginxFront]:
    """nginx and an accelerator in front of ``count`` scripted app servers; ``pages`` are the site's own error pages."""
    edge = {"server": "nginx", **(config or {}).get("edge", {})}
    with temporary_folder() as folder, origins(count) as apps:
        stack = front_stack(folder, {**(config or {}), "edge": edge}, tuple(app.port for app in apps), **host)
        for status, html in (pages or {}).items():
            path = stack.state.rendered / "errors" / f"{status}.html"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(html)
        with running_layers(stack, *layers) as processes:
            front = NginxFront(stack, apps, processes)
            try:
                yield front
            finally:
                front.client.close()


def is_at_work(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE


class TestNginx(ProductContract):
    layer = "edge"
    server = "nginx"
    recorded = "nginx.txt"
    vitals_type = EdgeVitals

    def make_stack(self, folder: Path) -> Stack:
        return front_stack(folder, {"edge": {"server": "nginx"}}, (free_port(), free_port()))

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.version == "1.22.1"
        assert (vitals.connections, vitals.connections_max, vitals.requests) == (3, 4000, 9)
        assert vitals.pools == () and vitals.idle_percent is None


def configuration(stack: Stack) -> str:
    return nginx.render(stack, stack.hosts[0])[0].content


@pytest.mark.parametrize("seconds", [2, 30, 600])
def test_each_layer_waits_longer_than_the_one_behind(seconds: int) -> None:
    times = Timeouts(seconds)
    with temporary_folder() as folder:
        stack = front_stack(folder, {"edge": {"server": "nginx"}, "appserver": {"request_timeout_seconds": seconds}})
        text = configuration(stack)
        assert f"proxy_read_timeout {times.edge}s;" in text and f"proxy_read_timeout {times.app}s;" in text


def test_passes_its_checker_in_every_shape() -> None:
    shapes: list[dict[str, Any]] = [
        {"edge": {"trusted_proxies": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/24"]}},
        {"site": {"names": ["*.example.org"]}},
        {"site": {"mode": "observe"}},
        {"accelerator": {"purgers": []}},
    ]
    for config in shapes:
        for ports in ((), (free_port(), free_port())):
            with temporary_folder() as folder:
                edge = {**config.get("edge", {}), "server": "nginx"}
                stack = front_stack(folder, {**config, "edge": edge}, ports)
                stack = replace(
                    stack,
                    endpoints={**stack.endpoints, "edge.http": Endpoint("::", 80), "edge.https": Endpoint("0.0.0.0", 443)},
                )
                for service in nginx.services(stack, stack.hosts[0]):
                    for needed in service.folders:
                        execution.make_folder(needed, service.account)
                for file in nginx.render(stack, stack.hosts[0]):
                    execution.write_file(file)
                result = execution.run(nginx.check(stack, stack.hosts[0])[0])
                assert result.succeeded and "warn" not in result.transcript, result.transcript


def test_every_header_that_the_layers_speak_among_themselves_is_dropped() -> None:
    """nginx drops headers by whole names: a new one has to be added to its list."""
    repository = Path(__file__).parents[3]
    sources = [
        *(repository / "ops/src/slipstream_ops/layers/accelerator").rglob("*.j2"),
        *(repository / "runtime/src").rglob("*.py"),
    ]
    spoken = {name for source in sources for name in re.findall(r"X-Slipstream-[A-Za-z-]*[A-Za-z]", source.read_text())}
    assert "X-Slipstream-Bypass" in spoken and spoken <= set(CLAIMS)


def test_runs_without_any_privilege() -> None:
    """As somebody who is not root runs it: nothing in the configuration asks for more."""
    with temporary_folder() as folder:
        stack = front_stack(folder, {"edge": {"server": "nginx"}}, is_root=False)
        text = configuration(stack)
        assert "\nuser " not in text and "worker_rlimit" not in text
        account = execution.user_of("edge")
        for file in nginx.render(stack, stack.hosts[0]):
            execution.write_file(file)
        (service,) = nginx.services(stack, stack.hosts[0])
        if account:  # root runs the tests: the whole of nginx runs as the edge's user
            certificate = stack.state.rendered / "edge" / "certificate.pem"
            certificate.chmod(0o644)
            (folder / "log").touch()
            (folder / "log").chmod(0o666)  # nginx opens it by name
        with running(replace(service, drops_itself=False), folder / "log") as process:
            users = {psutil.Process(process.pid).username(), *(c.username() for c in psutil.Process(process.pid).children())}
            assert len(users) == 1 and (account is None or users == {account.pw_name})
            assert execution.exchange(nginx.vitals_sources(stack, stack.hosts[0])[0].ask)  # type: ignore[arg-type]


def test_only_the_master_keeps_the_rights_of_root() -> None:
    with running_nginx(layers=("edge",)) as front:
        account = execution.user_of("edge")
        expected = account.pw_name if account else psutil.Process().username()
        workers = psutil.Process(front.processes["edge"].pid).children()
        assert workers and all(worker.username() == expected for worker in workers)


def test_starts_again_after_a_kill_and_leaves_no_worker_of_before() -> None:
    with running_nginx(layers=("edge",)) as front:
        before = psutil.Process(front.processes["edge"].pid).children()
        front.processes["edge"].kill()
        front.processes["edge"].wait()
        try:
            with front.restart("edge", "edge") as again:
                assert before
                deadline = time.monotonic() + 15
                while any(is_at_work(worker) for worker in before):
                    assert time.monotonic() < deadline, "a worker of before goes on"
                    time.sleep(0.05)
                assert again.poll() is None and front.get("/").status_code == 200
        finally:
            for worker in before:
                if is_at_work(worker):
                    worker.kill()


def test_logs_arrive_where_standard_output_is_a_socket() -> None:
    """As under systemd, whose journal is one: nginx cannot open that by name."""
    with running_nginx(layers=()) as front:
        for file in nginx.render(front.stack, front.stack.hosts[0]):
            execution.write_file(file)
        (service,) = nginx.services(front.stack, front.stack.hosts[0])
        start_preparations(service)
        ours, theirs = socket.socketpair()
        environment = {**os.environ, "PATH": execution.search_path()}
        with ours, theirs, subprocess.Popen(service.command, stdout=theirs, stderr=theirs, env=environment) as process:
            try:
                assert execution.wait_for(service.probe, 15) is None
                front.get("/logged")
                ours.settimeout(10)
                assert '"url":"/logged"' in ours.recv(65536).decode()
            finally:
                process.terminate()


def test_temporary_files_and_sockets_lie_in_the_state_folder() -> None:
    with running_nginx(layers=("edge",)) as front:
        state = front.stack.state
        for path in (state.run / "edge" / "nginx.pid", state.data / "edge" / "bodies", state.run / "edge" / "apps.sock"):
            assert path.exists(), path
        assert (state.run / "edge" / "apps.sock").stat().st_mode & 0o777 == 0o666
        body = b"z" * 3_000_000  # waits on the disk
        assert front.get("/upload", method="POST", content=body).status_code == 200
        assert front.last.body == body and front.last.header("Content-Length") == "3000000"


def test_a_body_beyond_every_use_is_refused() -> None:
    with running_nginx(layers=("edge",)) as front:
        reply = front.raw(f"POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: {(1 << 30) + 1}\r\n\r\n")
        assert reply.startswith(b"HTTP/1.1 413") and b"<h1>" in reply
        assert not front.seen


def test_nothing_can_be_changed_by_the_stats_socket() -> None:
    with running_nginx(layers=("edge",)) as front:
        client = httpx.Client(transport=httpx.HTTPTransport(uds=str(front.stack.state.run / "edge" / "stats.sock")))
        assert client.get("http://x/").status_code == 404
        assert "Active connections" in client.get("http://x/numbers").text
        wait_until(lambda: front.vitals("edge").requests > 2, "requests to be counted")
        assert client.get(f"http://x{HEALTH_PATH}").status_code == 404


def test_stops_after_finishing_what_was_asked_for() -> None:
    with running_nginx(layers=("edge",)) as front:
        front.script(lambda seen: time.sleep(1) or Answer())  # type: ignore[func-returns-value]
        replies: list[int] = []
        visitor = threading.Thread(target=lambda: replies.append(front.get("/slow").status_code))
        visitor.start()
        wait_until(lambda: bool(front.seen), "the request to arrive")
        front.processes["edge"].send_signal(signal.SIGQUIT)
        visitor.join()
        assert replies == [200]
