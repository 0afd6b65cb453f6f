"""gunicorn's configuration files, one for each instance, and the environment of its processes."""

from __future__ import annotations

from pathlib import Path

from slipstream import wire
from slipstream_ops.layers import templates
from slipstream_ops.layers.application.django import environment
from slipstream_ops.layers.appserver.gunicorn.files import file_maps
from slipstream_ops.layers.appserver.gunicorn.sizing import sizes
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import Host, Stack


def instance_names(count: int) -> tuple[str, ...]:
    return tuple(f"app-{number}" for number in range(1, count + 1))


def configuration_path(stack: Stack, name: str) -> Path:
    return stack.state.rendered / name / "gunicorn.conf.py"


def run_folder(stack: Stack, name: str) -> Path:
    return stack.state.run / name


def environment_of(stack: Stack, host: Host, name: str) -> dict[str, str]:
    """Variables of one instance's processes: the project's, and what its workers have to see to themselves."""
    return {
        **environment(stack, host),
        wire.APPLICATION_VARIABLE: stack.project.asgi or stack.project.wsgi,
        wire.FILES_VARIABLE: file_maps(stack),
        wire.INSTANCE_VARIABLE: str(run_folder(stack, name)),
        wire.REQUEST_SECONDS_VARIABLE: str(stack.config.appserver.request_timeout_seconds),
    }


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    numbers = {sized.name: sized for sized in sizes(stack, host)}
    edges = [one.address for one in stack.hosts if "edge" in one.layers]
    return tuple(
        File(
            configuration_path(stack, name),
            templates.fill(
                __package__,
                "gunicorn.conf.py.j2",
                name=name,
                root=stack.project.root,
                application=f"{wire.ASGI_MODULE if stack.project.asgi else wire.SERVING_PACKAGE + '.wsgi'}:application",
                serving=wire.SERVING_PACKAGE,
                endpoint=stack.endpoint(name),
                size=numbers,
                run=run_folder(stack, name),
                is_asgi=stack.project.asgi is not None,
                trusted=",".join(dict.fromkeys(["127.0.0.1", "::1", *edges])),
            ),
        )
        for name in instance_names(stack.config.appserver.instances)
    )
