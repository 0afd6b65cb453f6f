"""Whose tables are migrated unasked: only those of databases that slipstream made."""

from __future__ import annotations

from pathlib import Path

import pytest
from workshop import make_project, make_stack

from slipstream_ops.lifecycle.build.assemble import notes_about
from slipstream_ops.lifecycle.run import application
from slipstream_ops.placement import DatabaseFacts


def facts(vendor: str, has_tables: bool | None) -> tuple[DatabaseFacts, ...]:
    return (DatabaseFacts("default", vendor, f"django.db.backends.{vendor}", "shop", "db.example.org", has_tables),)


@pytest.mark.parametrize(
    ("databases", "server", "may"),
    [
        (facts("postgresql", None), None, False),
        (facts("mysql", None), None, False),
        (facts("postgresql", None), "external", False),
        (facts("postgresql", None), "postgresql", True),
        (facts("sqlite", True), None, False),
        (facts("sqlite", False), None, True),
        ((), None, False),
    ],
)
def test_only_what_slipstream_made_is_migrated(
    tmp_path: Path, databases: tuple[DatabaseFacts, ...], server: str | None, may: bool
) -> None:
    project = make_project(tmp_path, databases=databases)
    stack = make_stack(tmp_path, {"database": {"server": server}} if server else {}, project)
    assert application.may_migrate(stack) is may


def test_a_file_that_slipstream_made_is_migrated_again_later(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, {}, make_project(tmp_path, databases=facts("sqlite", True)))
    application.created_here(stack).touch()
    assert application.may_migrate(stack)


def test_a_project_with_a_database_of_its_own_is_told_so(tmp_path: Path) -> None:
    stack = make_stack(tmp_path, {}, make_project(tmp_path, databases=facts("postgresql", None)))
    [note] = notes_about(stack.project, stack.config)
    assert "keeps its own database shop on db.example.org" in note and "does not migrate it" in note
