"""Background tasks: queues by priority, sent after the commit, their log lines under the id of the request that sent them.

Conventions (blueprint W1, W2): a task takes primary keys, not objects; it is sent when the data it reads is committed;
``high`` is for what a person waits for, ``low`` for whatever can wait. Not switched on here is ``acks_late``: a task that
is acknowledged at its end runs twice after a crash, which only its author can know to be harmless.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from slipstream import wire
from slipstream.logs import request_id

HIGH, DEFAULT, LOW = wire.QUEUES

HEADER = "slipstream_request_id"


def send(task: Any, *arguments: Any, queue: str = DEFAULT, using: str | None = None) -> None:
    """Queue ``task`` with ``arguments`` once the current transaction has committed; not at all when it is rolled back."""
    from django.db import transaction

    transaction.on_commit(lambda: task.apply_async(args=arguments, queue=queue), using=using)


PATIENCE = {"max_retries": 12, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}
"""Tries of sending a task: 10 s in all, while a broker that died is started again; Celery's own policy gives up after 0.4 s."""


def outlast_a_restart(sender: Any = None, **kwargs: Any) -> None:
    """Keep trying to send a task while the broker restarts, unless the project has a policy of its own."""
    from celery.app.defaults import DEFAULTS

    if sender.conf.task_publish_retry_policy == DEFAULTS["task_publish_retry_policy"]:
        sender.conf.task_publish_retry_policy = PATIENCE


def connect_signals() -> None:
    """Carry the request id with each task into the worker's log. Called when the project uses Celery."""
    from celery import current_app, signals

    if current_app.configured:
        outlast_a_restart(current_app)
    else:
        current_app.on_after_configure.connect(outlast_a_restart, weak=False)

    signals.before_task_publish.connect(write_request_id, weak=False, dispatch_uid="slipstream.write_request_id")
    signals.task_prerun.connect(read_request_id, weak=False, dispatch_uid="slipstream.read_request_id")


def write_request_id(headers: dict[str, Any] | None = None, **kwargs: Any) -> None:
    if headers is not None and (current := request_id.get()):
        headers.setdefault(HEADER, current)


def read_request_id(task: Any = None, **kwargs: Any) -> None:
    """Set for the task, and cleared for one that no request sent: the process works for many in turn."""
    request_id.set(getattr(task.request, HEADER, None))


def prepare_worker() -> None:
    """For the process ``celery worker``: the project's LOGGING instead of Celery's, and a sign of life.

    The file named in ``SLIPSTREAM_READY`` exists from when the worker has its broker until it stops.
    """
    leave_shell_out()
    from celery import signals

    signals.setup_logging.connect(configure_logging, weak=False, dispatch_uid="slipstream.configure_logging")
    if named := os.environ.get(wire.READY_VARIABLE):
        ready = Path(named)
        ready.unlink(missing_ok=True)  # left by a process that was killed
        signals.worker_ready.connect(lambda **kwargs: ready.touch(), weak=False)
        signals.worker_shutting_down.connect(lambda **kwargs: ready.unlink(missing_ok=True), weak=False)


def leave_shell_out() -> None:
    """Spare each worker the 14 MB of a terminal toolkit that Celery's command line imports for ``celery amqp repl``."""
    if os.environ.get(wire.READY_VARIABLE):
        empty = ModuleType("click_repl")
        empty.register_repl = lambda *arguments, **options: None  # type: ignore[attr-defined]
        sys.modules.setdefault("click_repl", empty)


def configure_logging(**kwargs: Any) -> None:
    """Django's own set-up with the settings in force; a connected receiver keeps Celery from replacing it by its own."""
    from django.conf import settings
    from django.utils.log import configure_logging as configure

    configure(settings.LOGGING_CONFIG, settings.LOGGING)
