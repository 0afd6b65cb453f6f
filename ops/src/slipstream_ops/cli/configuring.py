"""``slipstream config``: what will be rendered, whether it is right, what changed, and why each number has its value."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import click
from rich.text import Text

from slipstream.wire import SETTINGS_REPORT_MODULE
from slipstream_ops.cli.options import json_option, project_options, wishes_of
from slipstream_ops.cli.screen import output, print_json, say, table_of
from slipstream_ops.complaint import Complaint, nearest
from slipstream_ops.layers.contract import File
from slipstream_ops.lifecycle.build import rendering, requirements, state
from slipstream_ops.lifecycle.build.assemble import Assembled, assemble, locate, needed_programs
from slipstream_ops.lifecycle.run import application
from slipstream_ops.lifecycle.run.up import keep_certificate, prepare_host, write_application_files
from slipstream_ops.placement import Stack, products_on
from slipstream_ops.sizing import share_of
from slipstream_ops.stack import as_toml_value
from slipstream_ops.supervision.supervisord import Supervisor


@click.group()
def config() -> None:
    """Show, check and explain the configuration.

    \b
    Example:
      slipstream config sizing
    """


def assembled_of(project: Path | None, config: Path | None, python: str | None) -> Assembled:
    wishes = wishes_of(project, config, python)
    root, _ = locate(wishes)
    return assemble(wishes, is_running=Supervisor(state.locate_state(root)).pid is not None)


def masked(text: str, stack: Stack) -> str:
    """``text`` without any of the stack's secrets."""
    for value in asdict(stack.secrets).values():
        text = text.replace(value, "********")
    return text


@config.command()
@click.argument("layer", required=False)
@project_options
@json_option
def show(layer: str | None, project: Path | None, config: Path | None, python: str | None, as_json: bool) -> None:
    """The stack file with every default filled in; with LAYER, that layer's rendered files (secrets masked).

    \b
    Example:
      slipstream config show accelerator
    """
    assembled = assembled_of(project, config, python)
    stack = assembled.stack
    if layer is None:
        data = stack.config.model_dump(mode="json")
        data["database"]["server"] = stack.server_of("database")
        if as_json:
            print_json(data)
        else:
            output.print(Text(as_toml(data)))
        return
    layers = [name for name, _ in products_on(stack, assembled.host)]
    if layer not in layers:
        guess = nearest(layer, layers)
        raise Complaint(
            "showing a layer",
            f'"{layer}" is not a layer of this stack',
            f'Did you mean "{guess}"?' if guess else "Layers: " + ", ".join(layers),
        )
    files = [
        file
        for name, product in products_on(stack, assembled.host)
        if name == layer
        for file in product.render(stack, assembled.host)
    ]
    if as_json:
        print_json({str(file.path): masked(file.content, stack) for file in files})
        return
    for file in files:
        output.print(Text(f"# ---- {file.path}", style="bold"))
        output.print(Text(masked(file.content, stack)))


def as_toml(data: dict[str, dict[str, object]]) -> str:
    """Sections and keys as a stack file would write them; keys without a value are comments."""
    lines = []
    for section, keys in data.items():
        lines.append(f"[{section}]")
        tables = {}
        for key, value in keys.items():
            if isinstance(value, dict):
                tables[key] = value
            elif value is None:
                lines.append(f"# {key} is derived")
            else:
                lines.append(f"{key} = {as_toml_value(value)}")
        for key, table in tables.items():
            lines += [
                "",
                f"[{section}.{key}]",
                *(f"{as_toml_value(name)} = {as_toml_value(value)}" for name, value in table.items()),
            ]
        lines.append("")
    return "\n".join(lines)


@config.command()
@project_options
@json_option
def check(project: Path | None, config: Path | None, python: str | None, as_json: bool) -> None:
    """Render everything aside and ask each product's own checker.

    \b
    Example:
      slipstream config check
    """
    assembled = assembled_of(project, config, python)
    requirements.refuse_missing(needed_programs(assembled.stack, assembled.host))
    prepare_host(assembled, say)
    keep_certificate(assembled.stack)
    checked = rendering.check_all(assembled.stack, assembled.host)
    if as_json:
        print_json([{"layer": c.layer, "server": c.server, "fault": str(c.fault) if c.fault else None} for c in checked])
    else:
        rows = [(c.layer, c.server, Text("refused", style="red") if c.fault else Text("valid", style="green")) for c in checked]
        output.print(table_of(("layer", "server", "its own checker says"), rows))
    rendering.refuse_faults(checked)


@config.command()
@project_options
@json_option
def diff(project: Path | None, config: Path | None, python: str | None, as_json: bool) -> None:
    """What the next reload would change in the rendered files. Exit code 0 also when there are differences.

    \b
    Example:
      slipstream config diff
    """
    assembled = assembled_of(project, config, python)
    stack = assembled.stack
    changes = dict(changed_files(stack, rendering.render_all(stack, assembled.host)))
    if as_json:
        print_json(changes)
    elif not changes:
        output.print("Nothing would change.")
    for text in changes.values() if not as_json else ():
        for line in text.splitlines():
            output.print(Text(line, style={"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")))


def changed_files(stack: Stack, files: Iterable[File]) -> Iterable[tuple[str, str]]:
    """(path, unified diff) of each file that differs from what is in place."""
    for file in files:
        try:
            before = file.path.read_text(encoding="utf-8")
        except OSError:
            before = ""
        if before != file.content:
            lines = difflib.unified_diff(
                masked(before, stack).splitlines(),
                masked(file.content, stack).splitlines(),
                f"{file.path} (now)",
                f"{file.path} (next)",
                lineterm="",
            )
            yield str(file.path), "\n".join(lines)


@config.command()
@project_options
@json_option
def sizing(project: Path | None, config: Path | None, python: str | None, as_json: bool) -> None:
    """Every tuned number: its value, its formula, its reason.

    \b
    Example:
      slipstream config sizing
    """
    assembled = assembled_of(project, config, python)
    stack, host = assembled.stack, assembled.host
    shares = {name: share_of(host, name) for name, _ in products_on(stack, host)}
    numbers = [(name, sized) for name, product in products_on(stack, host) for sized in product.sizes(stack, host)]
    if as_json:
        print_json(
            {
                "host": {"name": host.name, "cores": host.cores, "memory_bytes": host.memory_bytes},
                "shares": {name: asdict(share) for name, share in shares.items() if share.bytes},
                "numbers": [{"layer": name, **asdict(sized)} for name, sized in numbers],
            }
        )
        return
    output.print(f"{host.name}: {host.cores} cores, {host.memory_bytes >> 20} MB for all services together\n")
    rows = [(name, f"{share.megabytes} MB", share.reason) for name, share in shares.items() if share.bytes]
    output.print(table_of(("layer", "memory", "why"), rows, right=("memory",)))
    output.print()
    output.print(
        table_of(
            ("layer", "number", "value", "formula", "reason"),
            [(n, s.name, str(s.value), s.formula, s.reason) for n, s in numbers],
            right=("value",),
        )
    )


@config.command()
@project_options
@json_option
def settings(project: Path | None, config: Path | None, python: str | None, as_json: bool) -> None:
    """Every Django setting that the stack changes: before, after, why.

    \b
    Example:
      slipstream config settings
    """
    assembled = assembled_of(project, config, python)
    stack, host = assembled.stack, assembled.host
    write_application_files(stack, host)
    command = application.program(stack, host, SETTINGS_REPORT_MODULE, (), "reading the settings that the stack changes")
    result, answer = application.ask_runtime(command)
    if answer is None:
        raise Complaint(command.why, application.last_line(result), "The error is the project's own", result.transcript[-4000:])
    changes = answer["changes"] if isinstance(answer, dict) else answer
    if as_json:
        print_json(answer)
        return
    rows = [(c["name"], short(c["before"]), short(c["after"]), c["why"]) for c in changes]
    output.print(table_of(("setting", "before", "after", "why"), rows))


def short(value: object, longest: int = 60) -> str:
    text = str(value)
    return text if len(text) <= longest else text[: longest - 3] + "..."
