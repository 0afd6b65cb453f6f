"""The database that the project's own settings name: the project keeps it, nothing of it is started, changed or measured."""

from __future__ import annotations

from slipstream_ops.layers.contract import Action, Command, EndpointNeed, File, Requirement, Service, Sized, VitalsSource
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

TITLE = "the project's own database"
REQUIREMENTS: tuple[Requirement, ...] = ()
UNHURRIED: dict[str, str] = {}


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return ()


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    return ()


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    return ()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return ()


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return ()


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    return ()


def offer(stack: Stack, host: Host) -> None:
    """Nothing: the project's DATABASES stay as they are. Whether it answers is seen with the project's own settings."""


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """None: its address and password are known to the project alone."""
    return ()


def parse(raw: str) -> None:
    return None
