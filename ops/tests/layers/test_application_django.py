"""The project's processes: what the stack offers to their settings, and the environment they run in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_suite import ProductContract
from startproject import make_django_stack
from workshop import make_project, make_stack, temporary_folder

from slipstream import wire
from slipstream_ops import execution
from slipstream_ops.layers.application import django
from slipstream_ops.layers.contract import Command
from slipstream_ops.placement import DatabaseFacts, Stack

EVERYTHING = {"database": {"server": "postgresql"}, "project": {"debug": True, "environment": {"FEATURE": "on"}}}


class TestDjango(ProductContract):
    layer = "application"
    server = "django"

    def make_stack(self, folder: Path) -> Stack:
        return make_django_stack(folder)

    def test_the_document_holds_every_key_and_is_a_secret(self, stack: Stack) -> None:
        [file] = django.render(stack, stack.hosts[0])
        assert json.loads(file.content).keys() == set(wire.OVERLAY_KEYS)
        assert (file.path, file.account, file.is_secret) == (stack.state.overlay, "app", True)


def document_of(stack: Stack) -> dict[str, Any]:
    [file] = django.render(stack, stack.hosts[0])
    document: dict[str, Any] = json.loads(file.content)
    return document


def test_each_layer_offers_what_it_has() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, EVERYTHING, make_project(folder / "site", celery="mysite.celery:app", result_backend="rpc"))
        document = document_of(stack)
        assert document["debug"] is True
        assert document["https_port"] == stack.endpoint("edge.https").port
        assert document["database"]["password"] == stack.secrets.database_password
        assert document["cache"]["urls"] and document["broker"]["url"].startswith("redis://")
        assert document["mail"]["port"] == stack.endpoint("mail").port
        environment = django.environment(stack, stack.hosts[0])
        assert environment["CELERY_BROKER_URL"] == environment["CELERY_RESULT_BACKEND"] == document["broker"]["url"]
        assert environment["FEATURE"] == "on"


def test_what_is_external_stays_the_project_s() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, {"mail": {"server": "external"}, "database": {"server": "external"}})
        document = document_of(stack)
        assert document["mail"] is None and document["database"] is None and document["broker"] is None
        assert "CELERY_BROKER_URL" not in django.environment(stack, stack.hosts[0])


@pytest.mark.parametrize(("scheme", "follows"), [("redis", True), ("rpc", True), ("django-db", False), ("", False)])
def test_results_follow_the_broker_only_when_they_live_in_a_server(scheme: str, follows: bool) -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, {}, make_project(folder / "site", celery="mysite.celery:app", result_backend=scheme))
        assert ("CELERY_RESULT_BACKEND" in django.environment(stack, stack.hosts[0])) is follows


def test_what_the_stack_file_says_about_the_environment_cannot_unseat_the_overlay() -> None:
    written = {"DJANGO_SETTINGS_MODULE": "theirs", "PYTHONPATH": "/opt/more", "CELERY_BROKER_URL": "redis://theirs"}
    with temporary_folder() as folder:
        project = make_project(folder / "site", celery="mysite.celery:app")
        stack = make_stack(folder, {"project": {"environment": written}}, project)
        environment = django.environment(stack, stack.hosts[0])
        assert environment["DJANGO_SETTINGS_MODULE"] == wire.OVERLAY_MODULE
        assert environment["PYTHONPATH"] == f"{stack.state.lent / 'slipstream'}:/opt/more"
        assert environment["CELERY_BROKER_URL"] == "redis://theirs"
        installed = replace(stack, project=replace(project, runtime_version="0.1.0"))
        assert django.environment(installed, stack.hosts[0])["PYTHONPATH"] == "/opt/more"


def test_the_account_reaches_uploads_and_a_file_database() -> None:
    with temporary_folder() as folder:
        root = folder / "site"
        databases = (
            DatabaseFacts("default", "sqlite", "sqlite3", "data/db.sqlite3"),
            DatabaseFacts("memory", "sqlite", "sqlite3", ":memory:"),
            DatabaseFacts("shop", "postgresql", "postgresql", "shop"),
        )
        stack = make_stack(folder, {}, make_project(root, databases=databases, media_root=root / "media"))
        assert django.writes(stack) == (root / "media", root / "data", root / "data" / "db.sqlite3")
        assert {root, stack.state.lent, stack.state.static} <= set(django.reads(stack))


def test_a_management_command_runs_with_the_stack_s_settings() -> None:
    with temporary_folder() as folder:
        stack = make_django_stack(folder)
        for file in django.render(stack, stack.hosts[0]):
            execution.write_file(file)
        result = execution.run(
            Command(
                django.project_command(stack, "django", "diffsettings"),
                why="reading the settings",
                environment=django.environment(stack, stack.hosts[0]),
                directory=stack.project.root,
                account="app",
            )
        )
        assert f"STATIC_ROOT = '{stack.state.static}'" in result.output, result.transcript
