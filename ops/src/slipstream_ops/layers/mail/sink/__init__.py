"""The local mail sink: takes every mail that the site sends and delivers none, so that nobody outside is written to."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    Exchange,
    ExchangeProbe,
    File,
    Requirement,
    Service,
    Sized,
    VitalsSource,
)
from slipstream_ops.layers.mail.sink.program import KEPT_MAILS, LARGEST_BYTES
from slipstream_ops.layers.mail.vitals import MailVitals
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

TITLE = "Mail sink (aiosmtpd)"
REQUIREMENTS: tuple[Requirement, ...] = ()
LENDS = ()

ACCOUNT = "mail"
PROGRAM = "slipstream_ops.layers.mail.sink.program"
GREETING = b"220 "


def folder(stack: Stack) -> Path:
    """Where the caught mails lie, one .eml file each."""
    return stack.state.data / "mail"


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return (EndpointNeed("mail", 8640),)


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    return (
        Sized("kept_mails", KEPT_MAILS, "fixed", "a looping task must not fill the disk: the oldest go first"),
        Sized("largest_mail_bytes", LARGEST_BYTES, "fixed", "what large mail providers accept: 25 MB with attachments encoded"),
    )


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    """None: the program takes an address and a folder, nothing else."""
    return ()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return (Command((sys.executable, "-m", PROGRAM, "--help"), "checking the mail sink"),)


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    endpoint = stack.endpoint("mail")
    return (
        Service(
            name="mail",
            layer="mail",
            command=(sys.executable, "-m", PROGRAM, endpoint.address, str(endpoint.port), str(folder(stack))),
            account=ACCOUNT,
            probe=ExchangeProbe(_greeting(stack), GREETING),
            folders=(folder(stack),),
            reads=(Path(sys.prefix), Path(sys.base_prefix), *(Path(p) for p in sys.path if p and Path(p).is_dir())),
            listens=("mail",),
        ),
    )


def _greeting(stack: Stack) -> Exchange:
    endpoint = stack.endpoint("mail")
    return Exchange((endpoint.address, endpoint.port), b"QUIT\r\n", until=b"221 ")


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    endpoint = stack.endpoint("mail")
    return {"host": endpoint.address, "port": endpoint.port}


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """Nothing to take over: it has no configuration."""
    return ()


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    listing = ("find", str(folder(stack)), "-name", "*.eml", "-printf", "%T@\\n")
    return (VitalsSource("mail", Command(listing, "counting caught mails")),)


def parse(raw: str) -> MailVitals:
    """From the times of change of the caught files, one a line, in seconds since 1970."""
    times = [float(line) for line in raw.split()]
    return MailVitals(len(times), max(0.0, time.time() - max(times)) if times else None)
