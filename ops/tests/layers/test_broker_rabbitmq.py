"""The broker on a real RabbitMQ: a node of the stack's own, work that outlives a kill, and Celery that consumes it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from amqp.exceptions import AccessRefused
from contract_suite import ProductContract
from kombu import Connection
from projectcode import project_environment, run_django_code
from startproject import make_django_stack
from workshop import make_project, make_stack, running, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.broker import rabbitmq
from slipstream_ops.layers.broker.rabbitmq.node import Node
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.layers.contract import CommandProbe, ExchangeProbe, File, Sized
from slipstream_ops.placement import Stack

CONFIG = {"broker": {"server": "rabbitmq"}}

CELERY_APP = """
import os
from celery import Celery

app = Celery("mysite")
app.config_from_object("django.conf:settings", namespace="CELERY")

@app.task(acks_late=True)
def add(a, b):
    return a + b

@app.task(ignore_result=True)
def write(path):
    with open(path, "w") as stream:
        stream.write("written")
"""


class TestBrokerRabbitmq(ProductContract):
    layer, server = "broker", "rabbitmq"
    recorded, vitals_type = "rabbitmq.json", BrokerVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_broker_stack(folder)

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.queues == {"high": 2, "celery": 0}
        assert (vitals.waiting, vitals.unacknowledged, vitals.clients) == (2, 1, 1)
        assert vitals.is_kept_on_disk is True
        assert vitals.is_loading is False
        assert vitals.memory_max_bytes == 256 << 20
        assert vitals.clients_refused is None
        assert vitals.last_write_succeeded is None


def make_broker_stack(folder: Path, **host: Any) -> Stack:
    project = make_project(folder / "site", celery="mysite.celery:app")
    return make_stack(folder, CONFIG, project, **{"layers": frozenset({"cache", "broker"}), **host})


def numbers(stack: Stack) -> BrokerVitals:
    (source,) = rabbitmq.vitals_sources(stack, stack.hosts[0])
    return rabbitmq.parse(TestBrokerRabbitmq.ask(source.ask))


def tell(stack: Stack, expression: str) -> str:
    return execution.run_or_complain(Node(stack).ask(expression, "asking in a test")).output.strip()


def send(stack: Stack, queue: str, count: int = 1) -> None:
    """Durable messages that the broker has confirmed."""
    connection = Connection(rabbitmq.offer(stack, stack.hosts[0])["url"], transport_options={"confirm_publish": True})
    with connection, connection.SimpleQueue(queue) as simple:
        for number in range(count):
            simple.put({"number": number})


@pytest.fixture(scope="module")
def broker() -> Iterator[Stack]:
    """A running broker that tests only look at."""
    with temporary_folder() as folder:
        stack = make_broker_stack(folder)
        with running_layers(stack, "broker"):
            yield stack


def test_memory_follows_the_host_and_is_never_below_what_the_node_itself_needs() -> None:
    def memory(**host: Any) -> Any:
        with temporary_folder() as folder:
            stack = make_broker_stack(folder, **host)
            sizes: tuple[Sized, ...] = rabbitmq.sizes(stack, stack.hosts[0])
            return sizes[0].value

    assert memory(memory_bytes=8 << 30, layers=frozenset({"broker"})) == "4915MiB"
    assert memory(memory_bytes=2 << 30) == "256MiB"


def test_the_rendered_numbers_are_in_force(broker: Stack) -> None:
    assert numbers(broker).memory_max_bytes == 256 << 20
    assert tell(broker, 'io_lib:format("~p", [rabbit_disk_monitor:get_disk_free_limit()])') == str(512 << 20)
    assert tell(broker, 'io_lib:format("~p", [application:get_env(rabbit, consumer_timeout)])') == "{ok,86400000}"


def test_every_port_is_on_loopback_and_of_this_stack(broker: Stack) -> None:
    wanted = {broker.endpoint(name).port for name in ("broker", "broker.names", "broker.node")}
    node = int(tell(broker, "os:getpid()"))
    listening = {
        (connection.laddr.ip, connection.laddr.port)
        for connection in psutil.Process(node).net_connections("tcp")
        if connection.status == "LISTEN"
    }
    assert {port for _, port in listening} == wanted - {broker.endpoint("broker.names").port}
    assert {address for address, _ in listening} == {"127.0.0.1"}
    for port in wanted:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.2", port), 2).close()


def test_there_is_no_guest_and_no_secret_in_a_command_line(broker: Stack) -> None:
    assert tell(broker, 'io_lib:format("~p", [[U || [{user, U} | _] <- rabbit_auth_backend_internal:list_users()]])') == (
        '[<<"slipstream_app">>]'
    )
    endpoint = broker.endpoint("broker")
    for user, password in (("guest", "guest"), ("slipstream_app", "wrong")):
        with pytest.raises(AccessRefused):
            Connection(f"amqp://{user}:{password}@{endpoint.netloc}/site", connect_timeout=5).connect()
    secrets = (broker.secrets.broker_password, Node(broker).cookie)
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        assert not any(secret in line for secret in secrets)


def test_the_application_may_not_administer_the_server(broker: Stack) -> None:
    assert tell(broker, 'io_lib:format("~p", [rabbit_auth_backend_internal:list_users()])').endswith("{tags,[]}]]")


def test_a_stranger_does_not_administer_the_node(broker: Stack) -> None:
    with temporary_folder() as folder:
        (folder / ".erlang.cookie").write_text("GUESSED")
        (folder / ".erlang.cookie").chmod(0o600)
        command = ["erl_call", "-address", f"localhost:{broker.endpoint('broker.node').port}", "-r", "-timeout", "5", "-e"]
        done = subprocess.run(
            command, input="1+1.\n", env={**os.environ, "HOME": str(folder)}, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0


def test_a_refused_question_is_an_error_with_its_reason(broker: Stack) -> None:
    result = execution.run(Node(broker).ask("erlang:error(no_such_thing)", "asking in a test"))
    assert not result.succeeded
    assert "no_such_thing" in result.errors


def test_two_stacks_run_side_by_side(broker: Stack) -> None:
    with temporary_folder() as folder:
        other = make_broker_stack(folder)
        with running_layers(other, "broker"):
            send(other, "high", 3)
            assert numbers(other).queues == {"high": 3}
            assert "high" not in numbers(broker).queues
        assert execution.find_fault(rabbitmq.services(broker, broker.hosts[0])[1].probe) is None


def test_queues_and_unacknowledged_work_are_counted(broker: Stack) -> None:
    send(broker, "low", 3)
    with Connection(rabbitmq.offer(broker, broker.hosts[0])["url"]) as connection, connection.SimpleQueue("low") as simple:
        taken = simple.get(timeout=5)
        vitals = numbers(broker)
        assert (vitals.waiting, vitals.unacknowledged) in {(2, 1), (0, 3)}  # the client may have fetched ahead
        assert vitals.clients == 1
        taken.reject()
    assert vitals.memory_used_bytes
    assert vitals.uptime_seconds is not None


def test_a_reload_changes_the_memory_without_a_restart(broker: Stack) -> None:
    before = tell(broker, "os:getpid()")
    larger = replace(broker, hosts=(replace(broker.hosts[0], memory_bytes=8 << 30, layers=frozenset({"broker"})),))
    for stack, expected in ((larger, 4915 << 20), (broker, 256 << 20)):
        for action in rabbitmq.reload(stack, stack.hosts[0]):
            TestBrokerRabbitmq.carry_out(action, {})
        assert numbers(broker).memory_max_bytes == expected
    assert tell(broker, "os:getpid()") == before


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("consumer_timeout =", "consumer_timeot =", "consumer_timeot"),
        ("consumer_timeout = 86400000", "consumer_timeout = long", "long"),
        ("listeners.tcp.1 = 127.0.0.1:", "listeners.tcp.1 = nowhere:x", "listeners.tcp"),
    ],
)
def test_the_checker_refuses_a_wrong_line(right: str, wrong: str, said: str) -> None:
    with temporary_folder() as folder:
        stack = make_broker_stack(folder)
        for file in rabbitmq.render(stack, stack.hosts[0]):
            content = file.content.replace(right, wrong) if file.path.name == "rabbitmq.conf" else file.content
            execution.write_file(File(file.path, content, file.account, file.is_secret, file.is_executable))
        (command,) = rabbitmq.check(stack, stack.hosts[0])
        result = execution.run(command)
        assert not result.succeeded
        assert said in result.errors


def test_a_new_password_is_taken_over_at_the_next_start_and_a_kill_loses_nothing() -> None:
    with temporary_folder() as folder:
        stack = make_broker_stack(folder)
        for file in rabbitmq.render(stack, stack.hosts[0]):
            execution.write_file(file)
        names, node = rabbitmq.services(stack, stack.hosts[0])
        with running(names, folder / "names.log"):
            with running(node, folder / "first.log") as process:
                send(stack, "high", 200)
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            changed = replace(stack, secrets=replace(stack.secrets, broker_password='new "secret" é <<1>>'))
            with running(rabbitmq.services(changed, changed.hosts[0])[1], folder / "second.log"):
                assert numbers(changed).queues == {"high": 200}
                send(changed, "high", 1)
                assert numbers(changed).queues == {"high": 201}
                with pytest.raises(AccessRefused):
                    Connection(rabbitmq.offer(stack, stack.hosts[0])["url"], connect_timeout=5).connect()


def test_the_node_finds_its_register_again() -> None:
    with temporary_folder() as folder:
        stack = make_broker_stack(folder)
        for file in rabbitmq.render(stack, stack.hosts[0]):
            execution.write_file(file)
        names, node = rabbitmq.services(stack, stack.hosts[0])
        with running(names, folder / "names.log") as register, running(node, folder / "node.log"):
            os.kill(register.pid, signal.SIGKILL)
            register.wait()
            assert execution.find_fault(node.probe) is None
            with running(names, folder / "names.log"):
                known = ExchangeProbe(names.probe.exchange, b"name slipstream at port")  # type: ignore[union-attr]
                assert execution.wait_for(known, 15) is None


@contextmanager
def celery_worker(stack: Stack, log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(stack.project.python), "-m", "celery", "-A", "mysite.celery:app", "worker", "-P", "solo", "-Q", "celery"],
            cwd=stack.project.root,
            env=project_environment(stack),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def test_a_celery_worker_consumes_what_an_unedited_project_sends_also_after_a_kill() -> None:
    with temporary_folder() as folder:
        stack = make_django_stack(folder, CONFIG, layers=("broker", "cache"), celery="mysite.celery:app", result_backend="redis")
        (stack.project.root / "mysite" / "celery.py").write_text(CELERY_APP)
        for file in rabbitmq.render(stack, stack.hosts[0]):
            execution.write_file(file)
        names, node = rabbitmq.services(stack, stack.hosts[0])
        written = folder / "written"
        with running(names, folder / "names.log"):
            with running(node, folder / "first.log") as process:
                # Nobody consumes yet; the interpreter ends as soon as the task is sent, and then the broker is killed.
                run_django_code(stack, f"from mysite.celery import write; write.delay({str(written)!r})")
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
            with running(node, folder / "second.log"):
                assert numbers(stack).queues == {"celery": 1}
                with celery_worker(stack, folder / "worker.log"):
                    printed = run_django_code(stack, "from mysite.celery import add; print(add.delay(2, 3).get(timeout=30))")
                    assert printed.split() == ["5"], (folder / "worker.log").read_text()
                    assert written.read_text() == "written"  # came before in the queue
                    assert execution.wait_for(unacknowledged_nothing(stack), 15) is None
                    assert numbers(stack).queues == {"celery": 0}, "queues of workers' own are not counted"
        assert rabbitmq.offer(stack, stack.hosts[0])["url"] not in (folder / "second.log").read_text()


def unacknowledged_nothing(stack: Stack) -> CommandProbe:
    ask = rabbitmq.vitals_sources(stack, stack.hosts[0])[0].ask
    return CommandProbe(ask, '"unacknowledged":0')  # type: ignore[arg-type]
