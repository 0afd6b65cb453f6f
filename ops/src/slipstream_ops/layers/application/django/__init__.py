"""The project itself: what the stack offers to its settings, and the environment that every process of it runs in.

It runs no service: the app server and the workers do, with ``environment`` and ``project_command`` from here.
"""

from __future__ import annotations

from slipstream_ops.layers.application.django.document import render
from slipstream_ops.layers.application.django.process import environment, project_command, reads, writes
from slipstream_ops.layers.contract import Action, Command, EndpointNeed, Lent, Requirement, Service, Sized, VitalsSource
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

__all__ = ["environment", "project_command", "reads", "render", "writes"]

TITLE = "Django"
REQUIREMENTS: tuple[Requirement, ...] = ()
LENDS: tuple[Lent, ...] = ()  # each layer lends what its own offer needs


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return ()


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    return ()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """None: the settings are imported by the survey before, and by every process that starts."""
    return ()


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return ()


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """Nothing of its own: the app server's and the workers' reload load the project again."""
    return ()


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """None: what a request spends inside Django is measured by the runtime's instruments, not asked of a service."""
    return ()


def parse(raw: str) -> None:
    return None
