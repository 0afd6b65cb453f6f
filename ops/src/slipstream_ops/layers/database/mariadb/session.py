"""The client as commands: SQL carried out in the stack's database with the rights of its owner; passwords in a closed file."""

from __future__ import annotations

from pathlib import Path

from slipstream_ops.layers.contract import Command
from slipstream_ops.placement import Stack

OWNER, APPLICATION, DATABASE = "slipstream_owner", "slipstream_app", "site"


def quote(text: str) -> str:
    """A string of SQL or of an option file: both read a backslash as the beginning of an escape."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def option_file(stack: Stack) -> Path:
    """Where the client finds the owner's password; readable by the database's account alone."""
    return stack.state.rendered / "database" / "owner.cnf"


def options(stack: Stack, socket: Path) -> str:
    password = quote(stack.secrets.database_owner_password)
    return f"[client]\nuser = {OWNER}\npassword = {password}\nsocket = {socket}\n[mariadb-client]\nconnect_timeout = 3\n"


def ask(stack: Stack, sql: str, why: str, *, timeout_seconds: float = 30.0) -> Command:
    """``sql`` through the unix socket, unaligned rows without headings on standard output.

    As a user with all privileges: one connection is kept for it, so that the database can be asked when all others are taken.
    """
    return Command(
        ("mariadb", f"--defaults-file={option_file(stack)}", "--batch", "--raw", "--skip-column-names", "--no-auto-rehash"),
        why=why,
        account="database",
        timeout_seconds=timeout_seconds + 5,
        stdin=f"SET SESSION max_statement_time = {timeout_seconds:g};\n{sql}",
    )
