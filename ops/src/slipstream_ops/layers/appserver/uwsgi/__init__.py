"""uWSGI (as pyuwsgi, inside the project's own interpreter): several instances, so that one can be lost or reloaded."""

from __future__ import annotations

import sys

from slipstream import wire
from slipstream_ops.layers.application.django import environment, project_command, reads, writes
from slipstream_ops.layers.appserver.uwsgi.parse import parse
from slipstream_ops.layers.appserver.uwsgi.rendering import configuration_path, instance_names, render
from slipstream_ops.layers.appserver.uwsgi.sizing import OPEN_FILES, sizes
from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    Exchange,
    HttpProbe,
    Lent,
    Requirement,
    Service,
    VitalsSource,
)
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

__all__ = ["parse", "render", "sizes"]

TITLE = "uWSGI"
LENDS = (Lent(("pyuwsgi",), "pyuwsgi>=2.0.30"),)
REQUIREMENTS: tuple[Requirement, ...] = ()  # lent to the project as the Python package pyuwsgi
FIRST_PORT = 8611
CONTROL = f"{__name__}.control"  # run as a program, hence not imported here


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return tuple(
        EndpointNeed(name, FIRST_PORT + number) for number, name in enumerate(instance_names(config.appserver.instances))
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """Each configuration is read to its end; ``strict`` refuses what uWSGI does not know. Nothing is bound or started."""
    return tuple(
        Command(
            project_command(stack, "pyuwsgi", "--ini", str(configuration_path(stack, name)), "--get", "http-socket"),
            why=f"checking the configuration of {name}",
            environment=environment(stack, host),
            directory=stack.project.root,
            account="app",
        )
        for name in instance_names(stack.config.appserver.instances)
    )


def trial(stack: Stack, host: Host) -> Command:
    """Loads the project in a process of its own as a worker would: code that does not load never reaches a worker."""
    return Command(
        project_command(stack, wire.WSGI_MODULE),
        why="loading the project's new code on trial",
        environment=environment(stack, host),
        directory=stack.project.root,
        account="app",
    )


def make_upload_folder(stack: Stack) -> tuple[Command, ...]:
    """uWSGI never again looks for a mapped folder that was missing at the first request."""
    uploads = stack.project.media_root
    if uploads is None:
        return ()
    return (Command(("mkdir", "-p", str(uploads)), why=f"making the folder for uploads {uploads}", account="app"),)


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    timeout = stack.config.appserver.request_timeout_seconds
    return tuple(
        Service(
            name=name,
            layer="appserver",
            command=project_command(stack, "pyuwsgi", "--ini", str(configuration_path(stack, name))),
            account="app",
            probe=HttpProbe((stack.endpoint(name).address, stack.endpoint(name).port), wire.HEALTH_PATH),
            environment=environment(stack, host),
            directory=stack.project.root,
            folders=(stack.state.run / name, stack.state.static),  # both exist before uWSGI looks for them
            first=make_upload_folder(stack),
            unless_exists=stack.project.media_root,
            reads=reads(stack),
            writes=writes(stack),
            stop_timeout_seconds=timeout + 5,
            start_timeout_seconds=60,  # a large project takes its time to import
            open_files=OPEN_FILES,
            listens=(name,),
        )
        for name in instance_names(stack.config.appserver.instances)
    )


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """First the new code is loaded on trial; then one instance after the other exchanges its workers, each when all are warm."""
    seconds = 60 + 2 * stack.config.appserver.request_timeout_seconds
    return (
        trial(stack, host),
        *(
            Command(
                (
                    sys.executable,
                    "-m",
                    CONTROL,
                    str(stack.state.run / name),
                    str(configuration_path(stack, name)),
                    str(seconds),
                ),
                why=f"reloading {name}",
                timeout_seconds=seconds + 10,
            )
            for name in instance_names(stack.config.appserver.instances)
        ),
    )


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """The stats socket of each instance."""
    return tuple(
        VitalsSource(name, Exchange(stack.state.run / name / "stats.sock", b""))
        for name in instance_names(stack.config.appserver.instances)
    )
