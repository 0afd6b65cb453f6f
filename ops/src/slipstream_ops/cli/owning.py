"""Verbs of the project's owner: init, eject, manage."""

from __future__ import annotations

from pathlib import Path

import click

from slipstream_ops.cli.options import project_options, wishes_of
from slipstream_ops.cli.screen import output, say
from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import run_in_foreground
from slipstream_ops.lifecycle.build import discovery, ejecting
from slipstream_ops.lifecycle.build import state as states
from slipstream_ops.lifecycle.build.assemble import assemble, locate
from slipstream_ops.lifecycle.run import application
from slipstream_ops.lifecycle.run.up import write_application_files
from slipstream_ops.stack import EXAMPLE, FILE_NAME
from slipstream_ops.supervision.supervisord import Supervisor

SHORT_FILE = """# The stack of this project. Everything is derived; write only what you want to differ.
# `slipstream init --all` prints every key there is with its default.

[site]
names = ["localhost"]           # host names the site answers to; the first is the canonical one
mode = "respect"                # "observe", "respect" (the application's Cache-Control) or "fresh"

# [database]
# server = "postgresql"         # the stack's own; unset: the project keeps the database its settings name
"""


@click.command()
@click.option("--project", type=click.Path(path_type=Path), metavar="DIR", help="The folder of manage.py; the current one.")
@click.option("--all", "everything", is_flag=True, help="Print the file with every key instead of writing the short one.")
def init(project: Path | None, everything: bool) -> None:
    """Write a short slipstream.toml beside manage.py. An existing one is never overwritten.

    \b
    Example:
      slipstream init
      slipstream init --all > slipstream.toml
    """
    if everything:
        click.echo(EXAMPLE.read_text(encoding="utf-8"), nl=False)
        return
    path = discovery.find_project_root(project or Path.cwd()) / FILE_NAME
    if path.exists():
        raise Complaint(f"writing {path}", "it exists already", "Edit it, or see every key with `slipstream init --all`")
    try:
        path.write_text(SHORT_FILE, encoding="utf-8")
    except OSError as error:
        raise Complaint(f"writing {path}", error.strerror or str(error), "Check the folder's permissions") from None
    output.print(f"Wrote {path}.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("slipstream-ejected"))
@project_options
def eject(folder: Path, project: Path | None, config: Path | None, python: str | None) -> None:
    """Leave with everything: plain configuration, systemd units and a settings module that you own.

    Writes into FOLDER (slipstream-ejected), which must not exist yet. Nothing in it needs the command `slipstream`.

    \b
    Example:
      slipstream eject ops/
    """
    target = folder.absolute()
    if target.exists() and any(target.iterdir() if target.is_dir() else [target]):
        raise Complaint(f"ejecting into {target}", "there is something already", "Name a folder that does not exist yet")
    wishes = wishes_of(project, config, python)
    root, _ = locate(wishes)
    is_running = Supervisor(states.locate_state(root)).pid is not None
    assembled = assemble(wishes, is_running=is_running)
    written = ejecting.eject(assembled, target)
    for path in written:
        say(f"  {path.relative_to(target)}")
    output.print(f"Everything is in {target}; begin with its README.md.")


@click.command(context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@project_options
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, required=True)
def manage(project: Path | None, config: Path | None, python: str | None, arguments: tuple[str, ...]) -> None:
    """Run a management command inside the stack's environment: its database, its caches, its user.

    \b
    Example:
      slipstream manage createsuperuser
      slipstream manage migrate
    """
    wishes = wishes_of(project, config, python)
    root, _ = locate(wishes)
    is_running = Supervisor(states.locate_state(root)).pid is not None
    assembled = assemble(wishes, is_running=is_running)
    stack, host = assembled.stack, assembled.host
    if not is_running and stack.server_of("database") != "external":
        raise Complaint(
            f"running manage {arguments[0]}",
            "the stack, whose database it needs, is not running",
            "Start it with `slipstream up --detach`",
        )
    write_application_files(stack, host)
    code = run_in_foreground(application.manage(stack, host, arguments, f"running manage {arguments[0]}"))
    raise SystemExit(code if code >= 0 else 128 - code)
