"""gunicorn inside the project's own interpreter: several instances; WSGI, and ASGI (with WebSockets) by uvicorn's workers."""

from __future__ import annotations

import sys

from slipstream import wire
from slipstream_ops.layers.application.django import project_command, reads, writes
from slipstream_ops.layers.appserver.gunicorn.parse import parse
from slipstream_ops.layers.appserver.gunicorn.rendering import (
    configuration_path,
    environment_of,
    instance_names,
    render,
    run_folder,
)
from slipstream_ops.layers.appserver.gunicorn.sizing import OPEN_FILES, sizes
from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    HttpProbe,
    Lent,
    Requirement,
    Service,
    VitalsSource,
)
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

__all__ = ["parse", "render", "sizes"]

TITLE = "gunicorn"
RUNS_ASGI = True
LENDS = (
    Lent(("gunicorn",), "gunicorn>=23"),
    Lent(("whitenoise",), "whitenoise>=6.7"),  # gunicorn serves no files
    Lent(("setproctitle",), "setproctitle>=1.3"),  # processes are told apart in ps and top
    Lent(("uvicorn",), "uvicorn>=0.30"),
    Lent(("uvicorn_worker",), "uvicorn-worker>=0.3"),
    Lent(("httptools",), "httptools>=0.6"),  # uvicorn reads requests with it in C
    Lent(("websockets", "wsproto"), "websockets>=13"),
)
REQUIREMENTS: tuple[Requirement, ...] = ()  # lent to the project as Python packages
FIRST_PORT = 8611
PROGRAM = f"{wire.SERVING_PACKAGE}.program"
CONTROL = f"{__name__}.control"  # run as programs, hence not imported here
LOOK = f"{__name__}.look"


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return tuple(
        EndpointNeed(name, FIRST_PORT + number) for number, name in enumerate(instance_names(config.appserver.instances))
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """Each configuration is read to its end; a name or value that gunicorn does not know is refused. Nothing is started."""
    return tuple(
        Command(
            project_command(stack, PROGRAM, "check", "--config", str(configuration_path(stack, name))),
            why=f"checking the configuration of {name}",
            environment=environment_of(stack, host, name),
            directory=stack.project.root,
            account="app",
        )
        for name in instance_names(stack.config.appserver.instances)
    )


def trial(stack: Stack, host: Host) -> Command:
    """Loads the project in a process of its own as a worker would: code that does not load never reaches a worker."""
    return Command(
        project_command(stack, wire.ASGI_MODULE if stack.project.asgi else wire.WSGI_MODULE),
        why="loading the project's new code on trial",
        environment=environment_of(stack, host, instance_names(1)[0]),
        directory=stack.project.root,
        account="app",
    )


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    timeout = stack.config.appserver.request_timeout_seconds
    return tuple(
        Service(
            name=name,
            layer="appserver",
            command=project_command(stack, PROGRAM, "--config", str(configuration_path(stack, name))),
            account="app",
            probe=HttpProbe((stack.endpoint(name).address, stack.endpoint(name).port), wire.HEALTH_PATH),
            environment=environment_of(stack, host, name),
            directory=stack.project.root,
            folders=(run_folder(stack, name), stack.state.static),
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
    """First the new code is loaded on trial; then one instance after the other exchanges its workers, each when one is warm."""
    processes = next(sized.value for sized in sizes(stack, host) if sized.name == "workers")
    seconds = 60 + 2 * stack.config.appserver.request_timeout_seconds
    return (
        trial(stack, host),
        *(
            Command(
                (
                    sys.executable,
                    "-m",
                    CONTROL,
                    str(run_folder(stack, name)),
                    str(configuration_path(stack, name)),
                    str(processes),
                    str(seconds),
                ),
                why=f"reloading {name}",
                timeout_seconds=seconds + 10,
            )
            for name in instance_names(stack.config.appserver.instances)
        ),
    )


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """gunicorn tells nothing by itself: the process table, the kernel's queue and the workers' scoreboards are read."""
    backlog = next(sized.value for sized in sizes(stack, host) if sized.name == "backlog")
    return tuple(
        VitalsSource(
            name,
            Command(
                (sys.executable, "-m", LOOK, str(run_folder(stack, name)), str(stack.endpoint(name).port), str(backlog)),
                why=f"looking at the workers of {name}",
            ),
        )
        for name in instance_names(stack.config.appserver.instances)
    )
