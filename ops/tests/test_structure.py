"""Rules of the house that a machine can hold: who may know whom, what must be documented, which names are empty."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import click
import pytest

from slipstream_ops.cli import group
from slipstream_ops.placement import LAYERS
from slipstream_ops.stack import available_servers

SOURCE = Path(__file__).parents[1] / "src" / "slipstream_ops"
RUNTIME = Path(__file__).parents[2] / "runtime" / "src" / "slipstream"
MODULES = sorted(SOURCE.rglob("*.py"))
PRODUCTS = sorted({server for layer in LAYERS for server in available_servers(layer)} - {"external", "sink", "django"})
EMPTY_NAMES = {"utils", "util", "helpers", "common", "misc", "manager", "base", "core"}


@pytest.mark.parametrize("folder", ["lifecycle", "watch", "warroom"])
def test_time_names_no_product(folder: str) -> None:
    for path in (SOURCE / folder).rglob("*.py"):
        text = (
            path.read_text()
            .replace("project.celery", "")
            .replace('"celery"', "")
            .replace("celery=", "")
            .replace('"--celery"', "")
        )
        text = text.replace("celery = ...", "")  # the name of a key in the stack file
        for product in PRODUCTS:
            assert not re.search(rf"\b{product}\b", text, re.IGNORECASE), f"{path.relative_to(SOURCE)} names {product}"


def test_products_are_named_only_by_their_own_packages_and_defaults() -> None:
    for path in MODULES:
        relative = path.relative_to(SOURCE)
        if relative.parts[0] == "layers" or relative.name == "stack.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("slipstream_ops.layers."):
                assert node.module.count(".") == 2, f"{relative} imports a product: {node.module}"


def imported_names(tree: ast.Module) -> set[str]:
    """Every module that the tree imports, `from package import module` written out."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def test_the_tool_knows_of_the_runtime_only_the_wire() -> None:
    for path in MODULES:
        for name in imported_names(ast.parse(path.read_text())):
            assert not name.startswith("slipstream.") or name.startswith("slipstream.wire"), f"{path} imports {name}"
            assert name != "slipstream", f"{path} imports the runtime"


def test_the_runtime_knows_nothing_of_the_tool() -> None:
    for path in RUNTIME.rglob("*.py"):
        assert not re.search(r"^\s*(from|import) slipstream_ops", path.read_text(), re.MULTILINE), path


@pytest.mark.parametrize("path", [*MODULES, *sorted(RUNTIME.rglob("*.py"))], ids=str)
def test_modules_say_what_they_are_for(path: Path) -> None:
    assert path.stem not in EMPTY_NAMES, f"{path} has a name that says nothing"
    text = path.read_text()
    assert not text.strip() or ast.get_docstring(ast.parse(text)), f"{path} does not begin with a sentence"


def verbs(command: click.Command, name: str = "slipstream") -> list[tuple[str, click.Command]]:
    found = [(name, command)]
    if isinstance(command, click.Group):
        for child, verb in command.commands.items():
            found += verbs(verb, f"{name} {child}")
    return found


@pytest.mark.parametrize(("name", "verb"), verbs(group), ids=lambda value: value if isinstance(value, str) else "")
def test_every_verb_shows_an_example(name: str, verb: click.Command) -> None:
    assert verb.help and "Example:" in verb.help and "slipstream" in verb.help.split("Example:")[1]
    for parameter in verb.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} has no help"
