"""psql as commands: SQL carried out in the stack's database with the rights of its owner; passwords by the environment."""

from __future__ import annotations

from pathlib import Path

from slipstream_ops.layers.contract import Command
from slipstream_ops.placement import Stack

CALLERS_OWN = ("env", "-u", "PGSERVICE", "-u", "PGHOSTADDR")
"""psql prefers these to what it is told, and the person who runs slipstream may have set them for another database."""

OWNER, APPLICATION, DATABASE = "slipstream_owner", "slipstream_app", "site"


def address_here(stack: Stack) -> str:
    """The folder of the unix socket, for processes of the database's host; the address where a comma in the folder's name
    would make libpq read several hosts."""
    folder = str(stack.state.run / "database")
    return stack.endpoint("database").address if "," in folder else folder


def ask(
    stack: Stack,
    programs: Path,
    sql: str,
    why: str,
    *,
    database: str = "postgres",
    variables: dict[str, str] | None = None,
    secrets: dict[str, str] | None = None,
    timeout_seconds: float = 30.0,
) -> Command:
    """``sql`` through the unix socket, unaligned rows without headings on standard output.

    As the superuser: some connections are reserved for it, so that the database can be asked when all others are taken.
    """
    options = [option for name, value in (variables or {}).items() for option in ("-v", f"{name}={value}")]
    return Command(
        (*CALLERS_OWN, str(programs / "psql"), "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", *options, "-f", "-"),
        why=why,
        environment={
            "PGHOST": address_here(stack),
            "PGPORT": str(stack.endpoint("database").port),
            "PGUSER": OWNER,
            "PGDATABASE": database,
            "PGPASSWORD": stack.secrets.database_owner_password,
            "PGCONNECT_TIMEOUT": "3",
            "PGAPPNAME": "slipstream",
            "PGOPTIONS": f"-c statement_timeout={int(timeout_seconds * 1000)}",
            **(secrets or {}),
        },
        account="database",
        timeout_seconds=timeout_seconds + 5,
        stdin=sql,
    )
