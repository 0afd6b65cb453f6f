"""The project's own mail settings stay in force: what it sends leaves the machine."""

from __future__ import annotations

from slipstream_ops.layers.contract import Action, Command, EndpointNeed, File, Requirement, Service, Sized, VitalsSource
from slipstream_ops.layers.mail.vitals import MailVitals
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

TITLE = "the project's own mail settings"
REQUIREMENTS: tuple[Requirement, ...] = ()
LENDS = ()


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


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """None: how a mail provider fares is not asked over SMTP."""
    return ()


def parse(raw: str) -> MailVitals:
    return MailVitals(None, None)
