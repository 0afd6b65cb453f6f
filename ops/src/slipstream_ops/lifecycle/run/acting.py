"""Carries out the actions that products give as values: signals, exchanges, commands, waits."""

from __future__ import annotations

from collections.abc import Iterable

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import exchange, run_or_complain, wait_for, write_file
from slipstream_ops.layers.contract import Action, Command, Exchange, Restart, Service, Signal, Wait, WriteFile
from slipstream_ops.lifecycle.run.starting import start_service
from slipstream_ops.placement import State
from slipstream_ops.supervision.supervisord import Supervisor


def carry_out(actions: Iterable[Action], services: Iterable[Service], state: State, supervisor: Supervisor) -> None:
    """Do one action after the other; the first failure is a ``Complaint`` and ends it."""
    by_name = {service.name: service for service in services}
    for action in actions:
        match action:
            case Signal():
                supervisor.signal(action.service, action.name)
            case Exchange():
                try:
                    exchange(action)
                except OSError as error:
                    raise Complaint(f"talking to {action.to}", str(error), "See `slipstream status`") from None
            case Command():
                run_or_complain(action)
            case Wait():
                fault = wait_for(action.probe, action.timeout_seconds, supervisor.seconds_running)
                if fault:
                    raise Complaint(action.why, fault, "See `slipstream logs`")
            case WriteFile():
                write_file(action.file)
            case Restart():
                restart_service(by_name[action.service], state, supervisor)


def restart_service(service: Service, state: State, supervisor: Supervisor) -> None:
    """Stop it with its own signal and patience, start it, wait until it is healthy."""
    supervisor.stop(service.name)
    start_service(service, state, supervisor)
