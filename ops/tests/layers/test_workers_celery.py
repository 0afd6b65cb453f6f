"""Celery with a real broker: tasks of every queue are done, beat sends what is due, a stop finishes what is in hand."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from startproject import make_django_stack
from workshop import running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.application.django import environment, project_command, render
from slipstream_ops.layers.contract import Command
from slipstream_ops.layers.workers import celery
from slipstream_ops.layers.workers.vitals import WorkersVitals
from slipstream_ops.placement import Stack

APPLICATION = """
import logging, os, pathlib, time
from celery import Celery

os.environ["DJANGO_SETTINGS_MODULE"] = "mysite.settings"  # outright, as some projects do
app = Celery("mysite", broker="redis://127.0.0.1:1/9")  # nobody listens there: the stack's broker has to win
app.config_from_object("django.conf:settings", namespace="CELERY")
app.conf.beat_schedule = {"tick": {"task": "mysite.celery.mark", "schedule": 0.2, "args": ["tick"]}}
logger = logging.getLogger("mysite")

@app.task
def mark(name, seconds=0):
    from django.conf import settings
    assert settings.SETTINGS_MODULE == "slipstream.overlay"
    time.sleep(seconds)
    logger.info("marked %s", name)
    pathlib.Path(os.environ["MARKS"], name).touch()
"""


def make_stack(folder: Path) -> Stack:
    marks = folder / "marks"
    marks.mkdir()
    marks.chmod(0o777)
    stack = make_django_stack(
        folder,
        {"project": {"environment": {"MARKS": str(marks)}}},
        ("broker", "workers"),
        celery="mysite.celery:app",
        has_schedule=True,
        queues=("celery", "reports"),
    )
    stack.project.root.chmod(0o777)  # as the life cycle lets the account reach what ``Service.writes`` names
    package = stack.project.root / "mysite"
    (package / "celery.py").write_text(APPLICATION)
    (package / "__init__.py").write_text("from .celery import app as celery_app\n")
    return stack


class TestCelery(ProductContract):
    layer = "workers"
    server = "celery"
    needs = ("broker", "application")
    recorded = "celery_stats.json"
    vitals_type = WorkersVitals

    def make_stack(self, folder: Path) -> Stack:
        stack = make_stack(folder)
        for file in render(stack, stack.hosts[0]):
            execution.write_file(file)
        return stack

    def assert_recorded(self, vitals: WorkersVitals) -> None:
        assert [worker.name for worker in vitals.online] == ["workers-high", "workers-low"]
        assert vitals.done == 3
        assert all(worker.processes == 1 and worker.resident_peak_bytes for worker in vitals.online)


class Workers:
    def __init__(self, stack: Stack, processes: dict[str, Any]) -> None:
        self.stack, self.processes = stack, processes
        self.marks = Path(stack.config.project.environment["MARKS"])

    def run_code(self, code: str) -> None:
        """In a process of the project's own, as a view would."""
        result = execution.run(
            Command(
                project_command(self.stack, "django", "shell", "--command", code),
                why="sending tasks",
                environment=environment(self.stack, self.stack.hosts[0]),
                directory=self.stack.project.root,
                account="app",
            )
        )
        assert result.succeeded, result.transcript

    def log_of(self, name: str) -> str:
        return (self.stack.state.root / f"{name}.log").read_text()


@contextmanager
def running_workers() -> Iterator[Workers]:
    with temporary_folder() as folder:
        stack = make_stack(folder)
        with running_layers(stack, "broker", "application", "workers") as processes:
            yield Workers(stack, processes)


def eventually(is_true: Callable[[], bool], timeout_seconds: float = 20) -> bool:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def test_tasks_of_every_queue_are_done_under_the_request_that_sent_them() -> None:
    with running_workers() as workers:
        workers.run_code(
            "from mysite.celery import mark\n"
            "from slipstream.logs import request_id\n"
            "from slipstream import jobs\n"
            "request_id.set('edge-7')\n"
            "mark.delay('unnamed')\n"
            "mark.apply_async(['own'], queue='reports')\n"
            "jobs.send(mark, 'high', queue=jobs.HIGH)\n"
            "jobs.send(mark, 'low', queue=jobs.LOW)\n"
        )
        for name, service in (("unnamed", "default"), ("own", "default"), ("high", "high"), ("low", "low")):
            assert eventually((workers.marks / name).exists), f"{name} was not done\n{workers.log_of(f'workers-{service}')}"
        assert eventually((workers.marks / "tick").exists), workers.log_of("workers-high")
        lines = [json.loads(line) for line in workers.log_of("workers-high").splitlines() if line.startswith('{"time"')]
        assert [line["request_id"] for line in lines if line["message"] == "marked high"] == ["edge-7"]


def test_a_stop_finishes_the_task_in_hand() -> None:
    with running_workers() as workers:
        workers.run_code("from mysite.celery import mark\nmark.apply_async(['slow', 3], queue='high')\n")
        assert eventually(lambda: "received" in workers.log_of("workers-high"))
        high = workers.processes["workers-high"]
        high.send_signal(signal.SIGTERM)
        assert high.wait(20) == 0
        assert (workers.marks / "slow").exists()
        assert execution.find_fault(celery.services(workers.stack, workers.stack.hosts[0])[0].probe) is not None


def test_queues_that_nobody_names_are_consumed_once() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder)
        assert celery.queues_of(stack, "high") == ("high",)
        assert celery.queues_of(stack, "default") == ("default", "celery", "reports")
