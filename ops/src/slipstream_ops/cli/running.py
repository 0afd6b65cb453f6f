"""Verbs of a running site: up, status, logs, restart, reload, down."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import click
from rich.live import Live
from rich.text import Text

from slipstream_ops.cli.options import json_option, project_options, wishes_of
from slipstream_ops.cli.screen import errors, output, print_json, say, services_table
from slipstream_ops.complaint import Complaint, nearest
from slipstream_ops.lifecycle.build import discovery, state
from slipstream_ops.lifecycle.build.assemble import Assembled, assemble, locate
from slipstream_ops.lifecycle.run import down as stopping
from slipstream_ops.lifecycle.run import logs as reading
from slipstream_ops.lifecycle.run import reload as reloading
from slipstream_ops.lifecycle.run import status as looking
from slipstream_ops.lifecycle.run.leftovers import write_down
from slipstream_ops.lifecycle.run.up import bring_up, stop_stack
from slipstream_ops.placement import Stack, State, services_on
from slipstream_ops.supervision.supervisord import Supervisor

WATCH_SECONDS = 2.0
"""How often the foreground table is drawn anew."""


@click.command()
@project_options
@click.option("--port", type=click.IntRange(1, 65535), metavar="N", help="The port for HTTPS; refused when it is busy.")
@click.option("--detach", is_flag=True, help="Return when the site is healthy; `slipstream down` stops it.")
@click.option("--copy-database", is_flag=True, help="Copy the project's SQLite data into the stack's own database, once.")
@json_option
def up(
    project: Path | None,
    config: Path | None,
    python: str | None,
    port: int | None,
    detach: bool,
    copy_database: bool,
    as_json: bool,
) -> None:
    """Run the project on the whole stack on this machine.

    Finds the project, renders and checks every configuration, starts the services in order, migrates only databases
    that slipstream made, collects static files and waits until all is healthy. No file of the project is changed.

    \b
    Example:
      slipstream up                     # in the foreground; Ctrl-C stops everything
      slipstream up --detach --port 9443
    """
    wishes = wishes_of(project, config, python, port, copy_database)
    with ended_by_signals():
        began = time.monotonic()
        assembled = bring_up(wishes, say)
        stack, host = assembled.stack, assembled.host
        supervisor = Supervisor(stack.state)
        services = services_on(stack, host)
        if as_json:
            print_json(
                {"addresses": addresses(stack), "services": [row.as_json() for row in looking.look(stack, services, supervisor)]}
            )
        else:
            show_addresses(assembled, time.monotonic() - began)
        if detach:
            if not as_json:
                output.print(services_table(looking.look(stack, services, supervisor)))
            return
        try:
            watch(stack, supervisor)
        finally:
            with signals_held_back():
                say("Stopping")
                stop_stack(stack, host, supervisor, say)


@contextlib.contextmanager
def ended_by_signals() -> Iterator[None]:
    """Ctrl-C, a closed terminal and a polite kill stop the stack, also where a shell in the background had them ignored."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def signals_held_back() -> Iterator[None]:
    """A second Ctrl-C does not leave the half of it running."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def watch(stack: Stack, supervisor: Supervisor) -> None:
    """Show the table until Ctrl-C, or until somebody else brings the stack down."""
    services = services_on(stack, stack.hosts[0])
    if not errors.is_terminal:
        while supervisor.pid is not None:
            write_down(stack.state, supervisor)
            time.sleep(WATCH_SECONDS)
        return
    with Live(services_table(looking.look(stack, services, supervisor)), console=errors, auto_refresh=False) as live:
        while supervisor.pid is not None:
            write_down(stack.state, supervisor)
            live.update(services_table(looking.look(stack, services, supervisor)), refresh=True)
            time.sleep(WATCH_SECONDS)


def addresses(stack: Stack) -> dict[str, str]:
    """Where things are, by what a person calls them."""
    name = stack.config.site.plain_name
    found = {"site": f"https://{name}:{stack.endpoint('edge.https').port}/".replace(":443/", "/")}
    found["http"] = f"http://{name}:{stack.endpoint('edge.http').port}/".replace(":80/", "/")
    for endpoint, title in (
        ("accelerator", "accelerator directly"),
        *((f"app-{n}", f"app server {n} directly") for n in range(1, 33)),
    ):
        if endpoint in stack.endpoints:
            found[title] = f"http://{stack.endpoint(endpoint).netloc}/"
    if stack.server_of("mail") == "sink":
        found["caught mail"] = str(stack.state.data / "mail")
    return found


def show_addresses(assembled: Assembled, seconds: float) -> None:
    output.print(Text(f"\nHealthy after {seconds:.1f} s.", style="bold green"))
    listed = addresses(assembled.stack)
    width = max(map(len, listed))
    for title, address in listed.items():
        output.print(Text.assemble(f"  {title:<{width}}  ", (address, "cyan")))
    if not assembled.stack.config.edge.certificate:
        output.print(
            Text(
                "The certificate is signed by this machine's own authority; `slipstream trust` makes browsers believe it.",
                style="dim",
            )
        )
    output.print()


@click.command()
@project_options
@click.option("--watch", "is_watched", is_flag=True, help="Draw the table anew until Ctrl-C or until the stack is down.")
@json_option
def status(project: Path | None, config: Path | None, python: str | None, is_watched: bool, as_json: bool) -> None:
    """Show each service: address, process, memory, health. Exit code 0 only when all are healthy.

    \b
    Example:
      slipstream status --json
      slipstream status --watch
    """
    stack, supervisor = running_stack(project, config, python, "looking at the stack")
    if is_watched:
        watch(stack, supervisor)
        return
    rows = looking.look(stack, services_on(stack, stack.hosts[0]), supervisor)
    if as_json:
        print_json({"addresses": addresses(stack), "services": [row.as_json() for row in rows]})
    else:
        output.print(services_table(rows))
        for row in rows:
            if row.state in ("unhealthy", "stopped", "restarting") and row.reason:
                output.print(Text(f"{row.service}: {row.reason}", style="yellow"))
    if any(row.state != "healthy" for row in rows):
        raise SystemExit(1)


def running_stack(project: Path | None, config: Path | None, python: str | None, doing: str) -> tuple[Stack, Supervisor]:
    """The assembled stack and its process manager. Raises ``Complaint`` when it is not running."""
    wishes = wishes_of(project, config, python)
    root, _ = locate(wishes)
    supervisor = reloading.running_supervisor(state.locate_state(root), doing)
    return assemble(wishes, is_running=True).stack, supervisor


def state_of(project: Path | None) -> State:
    """The state folder alone: for verbs that must work when the project itself does not."""
    return state.locate_state(discovery.find_project_root(project or Path.cwd()))


@click.command()
@click.argument("service", required=False)
@click.option("--project", type=click.Path(path_type=Path), metavar="DIR", help="The folder of manage.py; the current one.")
@click.option("-f", "--follow", is_flag=True, help="Go on showing new lines until Ctrl-C.")
@click.option("-n", "--lines", default=20, show_default=True, type=click.IntRange(0), help="Last lines of each service.")
@click.option("--request", "request_id", metavar="ID", help="Every line of one request, from all layers.")
@json_option
def logs(service: str | None, project: Path | None, follow: bool, lines: int, request_id: str | None, as_json: bool) -> None:
    """Show what the services write.

    \b
    Example:
      slipstream logs app-1 -f
      slipstream logs --request 7F000001:C3A8_0:0:0:0
    """
    found = state_of(project)
    if found.logs.exists() and not os.access(found.logs, os.R_OK | os.X_OK):
        raise Complaint(
            f"reading the logs in {found.logs}", "they are another user's", "Run the command as the user who started the stack"
        )
    files = reading.log_files(found)
    if not files:
        raise Complaint(f"reading the logs in {found.logs}", "there are none yet", "Start the stack with `slipstream up`")
    if service is not None:
        if service not in files:
            guess = nearest(service, files)
            raise Complaint(
                "reading logs",
                f'"{service}" is not a service of this stack',
                f'Did you mean "{guess}"?' if guess else "Services: " + ", ".join(files),
            )
        files = {service: files[service]}
    width = max(map(len, files))

    def show(line: reading.Line) -> None:
        if as_json:
            click.echo(reading.as_json(line))
        else:
            output.print(Text.assemble((f"{line.service:<{width}} | ", "cyan"), line.text))

    shown = reading.lines_of_request(files, request_id) if request_id else reading.last_lines(files, lines)
    count = 0
    for line in shown:
        show(line)
        count += 1
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            for line in reading.follow(files, request_id):
                show(line)
    elif request_id and not count:
        raise Complaint(
            f"looking for request {request_id}", "no kept log mentions it", "Check the id (header X-Request-ID of the answer)"
        )


@click.command()
@click.argument("service")
@project_options
def restart(service: str, project: Path | None, config: Path | None, python: str | None) -> None:
    """Stop and start one service; an app server is taken out of the balancer first.

    \b
    Example:
      slipstream restart app-2
    """
    restarted = reloading.restart_one(wishes_of(project, config, python), service)
    say(f"{restarted.name} was restarted and is healthy.")


@click.command()
@project_options
def reload(project: Path | None, config: Path | None, python: str | None) -> None:
    """Take over new code, settings and configuration without losing a request.

    Everything is checked and migrated before anything is touched: if that fails, the running site goes on as it was.

    \b
    Example:
      git pull && slipstream reload
    """
    began = time.monotonic()
    assembled = reloading.reload_everything(wishes_of(project, config, python), say)
    for note in assembled.notes:
        say(note)
    say(f"Reloaded in {time.monotonic() - began:.1f} s.")


@click.command()
@click.option("--project", type=click.Path(path_type=Path), metavar="DIR", help="The folder of manage.py; the current one.")
@click.option("--destroy", is_flag=True, help="Also remove the state folder with the stack's own database. Asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def down(project: Path | None, destroy: bool, yes: bool) -> None:
    """Stop everything. Data is kept, unless --destroy is given and confirmed.

    \b
    Example:
      slipstream down
      slipstream down --destroy
    """
    found = state_of(project)
    if destroy and found.root.exists() and not yes:
        click.confirm(
            f"Remove {found.root} with the stack's database, caught mail and logs? This cannot be undone.", abort=True, err=True
        )
    was_running = stopping.bring_down(found, say)
    if destroy:
        existed = found.root.exists()
        stopping.destroy(found)
        say(f"Removed {found.root}." if existed else "There was no state folder to remove.")
    elif not was_running:
        say("Nothing was running.")
