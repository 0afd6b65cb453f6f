"""The local process manager: its configuration, and the questions put to it over its private socket."""

from __future__ import annotations

import resource
import shlex
import sys
import time
import xmlrpc.client
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from supervisor.xmlrpc import SupervisorTransport

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import ACCOUNT_PREFIX, SYSTEM_FOLDERS, run_or_complain
from slipstream_ops.layers.contract import Command, File, Service
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, State

RETRIES = 1000
"""Starts in a row before it gives up; the pause grows by a second each time, so this is days, not a busy loop."""

LOG_BYTES = 20 << 20
LOG_BACKUPS = 3


@dataclass(frozen=True)
class ServiceState:
    """What supervisord says of one service. ``state`` is its word: RUNNING, STARTING, BACKOFF, STOPPED, EXITED, FATAL."""

    name: str
    state: str
    pid: int
    seconds: float  # since it started, 0 when it is not running
    reason: str

    @property
    def is_running(self) -> bool:
        return self.state in ("RUNNING", "STARTING") and self.pid > 0


def socket_path(state: State) -> Path:
    return state.run / "supervisor.sock"


def configuration_path(state: State) -> Path:
    return state.rendered / "supervisord" / "supervisord.conf"


def render(services: Iterable[Service], host: Host, state: State) -> File:
    """One program section a service; secrets never appear in it, they are in the services' own files."""
    programs = [
        {
            "service": service,
            "command": shlex.join(service.command).replace("%", "%%"),
            "environment": ",".join(_quote(name, value) for name, value in sorted(_environment(service, state).items())),
            "user": ACCOUNT_PREFIX + service.account if host.is_root and not service.drops_itself else None,
            "directory": service.directory or state.root,
            "log": state.logs / f"{service.name}.log",
        }
        for service in services
    ]
    open_files = max((service.open_files for service in programs_services(programs)), default=4096)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    text = fill(
        __package__ or __name__,
        "supervisord.conf.j2",
        programs=programs,
        socket=socket_path(state),
        pid_file=state.run / "supervisord.pid",
        log=state.logs / "supervisord.log",
        open_files=open_files if hard == resource.RLIM_INFINITY else min(open_files, hard),
        log_bytes=LOG_BYTES,
        log_backups=LOG_BACKUPS,
        retries=RETRIES,
        is_root=host.is_root,
    )
    return File(configuration_path(state), text, is_secret=True)


def programs_services(programs: list[dict[str, Any]]) -> list[Service]:
    return [program["service"] for program in programs]


SERVICE_VARIABLE, STATE_VARIABLE = "SLIPSTREAM_SERVICE", "SLIPSTREAM_STATE"
"""By these a service is known whose process manager died."""


def _environment(service: Service, state: State) -> dict[str, str]:
    marks = {SERVICE_VARIABLE: service.name, STATE_VARIABLE: str(state.root)}
    return {"PATH": SYSTEM_FOLDERS, "LANG": "C.UTF-8", **service.environment, **marks}


def _quote(name: str, value: str) -> str:
    """``NAME="value"``: supervisord expands %-expressions, knows no escapes, and strips every quote from both ends."""
    mark = "'" if '"' in value else '"'
    if mark in value or value[:1] in "'\"" or value[-1:] in "'\"" or "\n" in value:
        raise Complaint(
            f"passing the variable {name} to the services",
            "its value holds both kinds of quotes, begins or ends with one, or has several lines",
            "Write it into the project's own .env instead of [project.environment]",
        )
    escaped = value.replace("%", "%%")
    return f"{name}={mark}{escaped}{mark}"


class Supervisor:
    """The running supervisord of one stack."""

    def __init__(self, state: State) -> None:
        self._state = state

    def _call(self, method: str, *arguments: Any) -> Any:
        proxy = xmlrpc.client.ServerProxy(
            "http://127.0.0.1", transport=SupervisorTransport(None, None, f"unix://{socket_path(self._state)}")
        )
        return getattr(proxy.supervisor, method)(*arguments)

    @property
    def pid(self) -> int | None:
        """Process id while it answers, else None."""
        try:
            return int(self._call("getPID"))
        except (OSError, xmlrpc.client.Error, ValueError):
            return None

    def launch(self) -> None:
        """Start supervisord in the background; no service starts by this."""
        run_or_complain(
            Command(
                (sys.executable, "-m", "supervisor.supervisord", "-c", str(configuration_path(self._state))),
                "starting the process manager",
                directory=self._state.root,
            ),
            f"Look into {self._state.logs / 'supervisord.log'}",
        )
        deadline = time.monotonic() + 10
        while self.pid is None:
            if time.monotonic() > deadline:
                raise Complaint(
                    "starting the process manager", "it does not answer", f"Look into {self._state.logs / 'supervisord.log'}"
                )
            time.sleep(0.05)

    def shut_down(self) -> None:
        """End supervisord (and whatever still runs under it); returns when it is gone."""
        try:
            self._call("shutdown")
        except (OSError, xmlrpc.client.Error):
            return
        deadline = time.monotonic() + 60
        while self.pid is not None and time.monotonic() < deadline:
            time.sleep(0.05)

    def states(self) -> dict[str, ServiceState]:
        """All services by name; empty when supervisord is gone."""
        try:
            rows = self._call("getAllProcessInfo")
        except (OSError, xmlrpc.client.Error):
            return {}
        return {
            row["name"]: ServiceState(
                row["name"],
                row["statename"],
                row["pid"],
                max(0.0, row["now"] - row["start"]) if row["pid"] else 0.0,
                row["spawnerr"],
            )
            for row in rows
        }

    def seconds_running(self, name: str) -> float | None:
        found = self.states().get(name)
        return found.seconds if found and found.is_running else None

    def start(self, name: str) -> None:
        try:
            self._call("startProcess", name, False)
        except xmlrpc.client.Fault as fault:
            if "ALREADY_STARTED" not in fault.faultString:
                raise Complaint(f"starting {name}", fault.faultString, f"See `slipstream logs {name}`") from None

    def stop(self, name: str, wait: bool = True) -> None:
        try:
            self._call("stopProcess", name, wait)
        except xmlrpc.client.Fault as fault:
            if "NOT_RUNNING" not in fault.faultString and "BAD_NAME" not in fault.faultString:
                raise Complaint(f"stopping {name}", fault.faultString) from None
        except OSError:
            pass

    def signal(self, name: str, signal_name: str) -> None:
        try:
            self._call("signalProcess", name, signal_name)
        except xmlrpc.client.Fault as fault:
            raise Complaint(f"sending {signal_name} to {name}", fault.faultString, f"See `slipstream logs {name}`") from None

    def read_configuration(self) -> tuple[list[str], list[str], list[str]]:
        """Names of services (added, changed, removed) by the configuration on disk; nothing is stopped or started by asking."""
        [[added, changed, removed]] = self._call("reloadConfig")
        return added, changed, removed

    def add(self, name: str) -> None:
        """Take a new service over from the configuration that was read."""
        self._call("addProcessGroup", name)

    def remove(self, name: str) -> None:
        """Stop a service and forget it."""
        self._call("stopProcessGroup", name)
        self._call("removeProcessGroup", name)
