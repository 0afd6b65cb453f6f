"""Options that several verbs share."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from slipstream_ops.lifecycle.build.assemble import Wishes


def project_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--project, --config and --python, for every verb that needs to know the project."""
    for option in (
        click.option("--python", metavar="PATH", help="The project's interpreter; found in .venv, uv, poetry or VIRTUAL_ENV."),
        click.option(
            "--config", type=click.Path(path_type=Path), metavar="FILE", help="The stack file; slipstream.toml beside manage.py."
        ),
        click.option(
            "--project", type=click.Path(path_type=Path), metavar="DIR", help="The folder of manage.py; the current one."
        ),
    ):
        verb = option(verb)
    return verb


def json_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(verb)


def wishes_of(
    project: Path | None, config: Path | None, python: str | None, port: int | None = None, copy_database: bool = False
) -> Wishes:
    """What was typed; questions are asked only when somebody sits at a terminal."""
    ask = choose if sys.stdin.isatty() and sys.stderr.isatty() else None
    told = str(Path(python).expanduser().absolute()) if python else None
    return Wishes(project, config, told, port, copy_database, ask)


def choose(question: str, candidates: Sequence[str]) -> str:
    """Ask on the terminal for one of the candidates."""
    for number, candidate in enumerate(candidates, 1):
        click.echo(f"  {number}. {candidate}", err=True)
    number = click.prompt(question, type=click.IntRange(1, len(candidates)), err=True)
    return candidates[number - 1]
