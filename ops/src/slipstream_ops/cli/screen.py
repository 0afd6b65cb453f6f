"""What the verbs print: tables, progress, complaints; colours only on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from slipstream_ops.complaint import Complaint
from slipstream_ops.lifecycle.run.status import Row

WIDTH_IN_A_PIPE = 160
"""Columns for readers that have no width of their own: files, pagers, logs."""

output = Console(highlight=False, soft_wrap=True)
if not output.is_terminal:
    output.width = WIDTH_IN_A_PIPE
errors = Console(stderr=True, highlight=False, soft_wrap=True)

STATE_STYLES = {"healthy": "green", "starting": "yellow", "restarting": "yellow", "unhealthy": "red", "stopped": "red"}


def say(line: str) -> None:
    """One line of progress, on standard error so that --json stays clean."""
    errors.print(Text(line))


def show_complaint(complaint: Complaint) -> None:
    """The quoted output first, the sentence last: it is what remains in sight."""
    if complaint.detail:
        for line in complaint.detail.rstrip().splitlines():
            errors.print(Text(f"  | {line}", style="dim"))
    errors.print(Text.assemble(("error: ", "bold red"), str(complaint)))


def print_json(data: Any) -> None:
    click.echo(json.dumps(data, indent=2, default=str))


def format_bytes(count: int | None) -> str:
    return "?" if count is None else f"{count / (1 << 20):.0f} MB"


def format_seconds(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.0f} h" if seconds < 172800 else f"{seconds / 86400:.0f} d"


def table_of(columns: Sequence[str], rows: Iterable[Sequence[str | Text]], right: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))  # a bracket in a cell is no markup
    return table


def services_table(rows: Sequence[Row]) -> Table:
    """The live table: service, address, pid, memory, state, for how long."""
    lines: list[Sequence[str | Text]] = [
        (
            row.service,
            row.address or "-",
            str(row.pid or "-"),
            format_bytes(row.memory_bytes) if row.pid else "-",
            Text(row.state, style=STATE_STYLES.get(row.state, "")),
            format_seconds(row.seconds) if row.pid else "-",
        )
        for row in rows
    ]
    total = sum(row.memory_bytes or 0 for row in rows)
    lines.append((Text("all", style="bold"), "", "", format_bytes(total), "", ""))
    return table_of(("service", "address", "pid", "memory", "state", "since"), lines, right=("pid", "memory", "since"))
