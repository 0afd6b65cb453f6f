"""``slipstream cache``: the site's caches, by name."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from slipstream_ops.cli.options import json_option, project_options
from slipstream_ops.cli.running import running_stack
from slipstream_ops.cli.screen import output, print_json
from slipstream_ops.lifecycle.run import caches


@click.group()
def cache() -> None:
    """Renew what the site has cached, without flushing anything else.

    \b
    Example:
      slipstream cache bump fragments
    """


@cache.command()
@click.argument("name")
@project_options
@json_option
def bump(name: str, project: Path | None, config: Path | None, python: str | None, as_json: bool) -> None:
    """Make one logical cache new at once: pages, fragments, queries, sessions, or any alias in CACHES.

    Other caches on the same servers keep what they have. Sessions are kept in the database as well: nobody is logged out.

    \b
    Example:
      slipstream cache bump fragments
    """
    stack, _ = running_stack(project, config, python, f"bumping the cache {name}")
    bumped = caches.bump(stack, stack.hosts[0], name)
    if as_json:
        print_json(asdict(bumped))
        return
    servers = "server" if len(bumped.renewed) == 1 else "servers"
    work = "" if bumped.values is None else f"; about {bumped.values} values will be computed again as they are asked for"
    output.print(f"{bumped.name}: new on {len(bumped.renewed)} {servers}{work}")
