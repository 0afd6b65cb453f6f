"""Builds stacks in a temporary folder and runs single services of a product for tests: real servers on free ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipstream_ops import execution
from slipstream_ops.layers.contract import Service
from slipstream_ops.placement import DatabaseFacts, Endpoint, Host, Project, Secrets, Stack, State, product_named, server_of
from slipstream_ops.stack import StackFile

TEST_SECRETS = Secrets(
    cache_password="cache-secret",
    broker_password="broker-secret",
    database_password="database-secret",
    database_owner_password="owner-secret",
    bypass_secret="bypass-secret",
    accelerator_secret="accelerator-secret",
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A short, world-traversable folder: services run under users of their own, and unix sockets allow 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="ss-", dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def make_project(root: Path, **changes: Any) -> Project:
    """Facts of a project that needs nothing; the interpreter is the one of the tests."""
    facts: dict[str, Any] = {
        "root": root,
        "python": Path(sys.executable),
        "python_version": sys.version_info[:3],
        "settings": "mysite.settings",
        "wsgi": "mysite.wsgi:application",
        "django_version": "5.2",
        "databases": (DatabaseFacts("default", "sqlite", "django.db.backends.sqlite3", str(root / "db.sqlite3")),),
    }
    return Project(**{**facts, **changes})


def make_stack(folder: Path, config: dict[str, Any] | None = None, project: Project | None = None, **host: Any) -> Stack:
    """A stack on this machine whose endpoints are free ports; ``config`` is what a stack file would say."""
    (folder / "state" / "run").mkdir(parents=True, exist_ok=True)
    (folder / "site").mkdir(exist_ok=True)
    stack_file = StackFile.model_validate(config or {})
    project = project or make_project(folder / "site")
    this = Host(
        **{"name": "local", "address": "127.0.0.1", "cores": 2, "memory_bytes": 2 << 30, "is_root": os.geteuid() == 0, **host}
    )
    state = State(folder / "state", folder / "state" / "run")
    endpoints: dict[str, Endpoint] = {}
    stack = Stack(stack_file, project, state, TEST_SECRETS, (this,), endpoints)
    for layer in sorted(this.layers):
        server = server_of(stack_file, project, layer)
        if server:
            for need in product_named(layer, server).endpoints(stack_file, this):
                endpoints[need.name] = Endpoint("127.0.0.1", free_port(), state.run / need.socket if need.socket else None)
    return replace(stack, endpoints=endpoints)


@contextmanager
def running(service: Service, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start one service as the process manager would, wait until its probe succeeds, stop it at the end."""
    start_preparations(service)
    user = None if service.drops_itself else execution.user_of(service.account)
    with log.open("wb") as output:
        process = subprocess.Popen(
            service.command,
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            cwd=service.directory or "/",
            env={**os.environ, "PATH": execution.search_path(), **service.environment},
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=[] if user else None,
            start_new_session=True,
        )
        try:
            fault = execution.wait_for(
                service.probe, service.start_timeout_seconds, lambda name: 60.0, lambda: process.poll() is None
            )
            assert fault is None, f"{service.name} is not healthy: {fault}\n{log.read_text(errors='replace')}"
            for command in service.after_start:
                execution.run_or_complain(command)
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(getattr(signal, f"SIG{service.stop_signal}"))
                try:
                    process.wait(service.stop_timeout_seconds)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()


def start_preparations(service: Service) -> None:
    for folder in service.folders:
        execution.make_folder(folder, service.account)
    if service.unless_exists is None or not service.unless_exists.exists():
        for command in service.first:
            execution.run_or_complain(command)


@contextmanager
def running_layers(stack: Stack, *layers: str) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """Render, write and start the products of ``layers`` in the order given; processes by service name."""
    host = stack.hosts[0]
    with ExitStack() as cleanup:
        processes = {}
        for layer in layers:
            server = stack.server_of(layer)
            assert server, f"the stack has no {layer}"
            product = product_named(layer, server)
            for file in product.render(stack, host):
                execution.write_file(file)
            for service in product.services(stack, host):
                processes[service.name] = cleanup.enter_context(running(service, stack.state.root / f"{service.name}.log"))
        yield processes
