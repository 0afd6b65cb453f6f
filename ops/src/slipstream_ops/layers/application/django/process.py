"""How a process of the project is started: its environment, command line and the paths it needs."""

from __future__ import annotations

from pathlib import Path

from slipstream import wire
from slipstream_ops.layers.application.django.document import offer_of
from slipstream_ops.placement import Host, Stack

ACCOUNT = "app"
"""One account for the app server, the workers and management commands: they share uploads and an SQLite file."""

SERVER_RESULTS = ("redis", "rediss", "rpc", "amqp")
"""Result backends that live in a server of the project's own machine; they follow the broker. Databases and files stay."""


def environment(stack: Stack, host: Host) -> dict[str, str]:
    """Variables for every process of the project on ``host``; those of [project.environment] included."""
    project = stack.project
    written = dict(stack.config.project.environment)
    variables = {
        "DJANGO_SETTINGS_MODULE": wire.OVERLAY_MODULE,
        wire.SETTINGS_VARIABLE: project.settings,
        wire.APPLICATION_VARIABLE: project.wsgi,
        wire.OVERLAY_VARIABLE: str(stack.state.overlay),
        wire.LENT_VARIABLE: str(stack.state.lent / "packages"),
        "PYTHONUNBUFFERED": "1",  # log lines appear when they are written
    }
    if project.runtime_version is None:
        folders = (str(stack.state.lent / "slipstream"), written.get("PYTHONPATH", ""))
        variables["PYTHONPATH"] = ":".join(folder for folder in folders if folder)
    return {**queue_variables(stack, host), **written, **variables}


def queue_variables(stack: Stack, host: Host) -> dict[str, str]:
    """Celery reads these before any setting, so they hold whatever way the project configures it."""
    broker = offer_of(stack, host, "broker")
    if not broker:
        return {}
    variables = {"CELERY_BROKER_URL": broker["url"]}
    if stack.project.result_backend in SERVER_RESULTS:
        # Over AMQP results come back as messages to whoever sent the task.
        variables["CELERY_RESULT_BACKEND"] = "rpc://" if broker["url"].startswith("amqp") else broker["url"]
    return variables


def project_command(stack: Stack, module: str, *arguments: str) -> tuple[str, ...]:
    """``module`` run by the project's interpreter, with the lent packages behind the project's own."""
    return (str(stack.project.python), "-m", wire.LAUNCH_MODULE, module, *arguments)


def reads(stack: Stack) -> tuple[Path, ...]:
    """Folders that the account must be able to read: the project, its interpreter, what the tool lends and collects."""
    return (stack.project.root, *stack.project.prefixes, stack.state.lent, stack.state.static)


def writes(stack: Stack) -> tuple[Path, ...]:
    """What the account must be able to write: uploads, and an SQLite file with its folder (its journal lies beside it)."""
    found = [stack.project.media_root] if stack.project.media_root else []
    for database in stack.project.databases:
        if database.vendor == "sqlite" and database.name and ":memory:" not in database.name:
            file = stack.project.root / database.name
            found += [file.parent, file]
    return tuple(dict.fromkeys(found))
