"""PostgreSQL as the database: a private cluster of the stack, sized from one budget, reached by password alone."""

from __future__ import annotations

import json
import shlex
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from slipstream_ops.layers.contract import (
    Action,
    Command,
    CommandProbe,
    EndpointNeed,
    File,
    Lent,
    Service,
    Signal,
    VitalsSource,
    Wait,
)
from slipstream_ops.layers.database.postgresql import sizing
from slipstream_ops.layers.database.postgresql.programs import REQUIREMENTS, find_programs
from slipstream_ops.layers.database.postgresql.session import APPLICATION, DATABASE, OWNER, address_here, ask
from slipstream_ops.layers.database.postgresql.sizing import sizes
from slipstream_ops.layers.database.vitals import DatabaseVitals
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

__all__ = [
    "REQUIREMENTS",
    "TITLE",
    "UNHURRIED",
    "check",
    "endpoints",
    "offer",
    "parse",
    "reload",
    "render",
    "services",
    "sizes",
    "vitals_sources",
]

TITLE = "PostgreSQL"
LENDS = (Lent(("psycopg",), "psycopg[binary,pool]>=3.2"), Lent(("psycopg_pool",), "psycopg_pool>=3.2"))
IDLE_IN_TRANSACTION_SECONDS = 600  # for those whom no visitor waits for; a request's limit is far shorter
UNHURRIED = {"PGOPTIONS": f"-c statement_timeout=0 -c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_SECONDS}s"}


def cluster_of(stack: Stack) -> Path:
    """Folder of the database's files: inside the service's folder, because it must be closed to everybody else (0700)."""
    return stack.state.data / "database" / "cluster"


def rendered(stack: Stack, name: str) -> Path:
    return stack.state.rendered / "database" / name


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return (EndpointNeed("database", 8630),)


def statement_seconds(stack: Stack) -> int:
    """Time limit of a request's statements: a tenth, at least a second, before the app server gives up (blueprint S5), so
    that the application sees the error and can answer with its own page."""
    request_seconds = stack.config.appserver.request_timeout_seconds
    return max(1, request_seconds - max(1, request_seconds // 10))


def _quote(value: object) -> str:
    """A string of postgresql.conf."""
    return "'" + str(value).replace("'", "''") + "'"


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    package, cluster = __package__ or __name__, cluster_of(stack)
    others = [h.address for h in stack.hosts if h.name != host.name and h.layers & {"application", "appserver", "workers"}]
    configuration = fill(
        package,
        "postgresql.conf.j2",
        cluster=cluster,
        hba=rendered(stack, "pg_hba.conf"),
        endpoint=stack.endpoint("database"),
        sockets_list=f'"{stack.state.run / "database"}"',  # a list: quotes keep a comma or a space in a path
        quote=_quote,
        sizes=sizes(stack, host),
        reserved=sizing.RESERVED,
        idle_in_transaction_seconds=IDLE_IN_TRANSACTION_SECONDS,
        slow_query_milliseconds=stack.config.database.slow_query_milliseconds,
    )
    addresses = [f"{address}/{ip_address(address).max_prefixlen}" for address in others]
    start = fill(
        package,
        "start.sh.j2",
        quote=lambda path: shlex.quote(str(path)),
        cluster=cluster,
        postgres=find_programs(cluster) / "postgres",
        configuration=rendered(stack, "postgresql.conf"),
    )
    return (
        File(rendered(stack, "postgresql.conf"), configuration),
        File(rendered(stack, "pg_hba.conf"), fill(package, "pg_hba.conf.j2", addresses=addresses)),
        File(rendered(stack, "start.sh"), start, is_executable=True),
        # Read once, by initdb: the superuser has a password from the first moment on.
        File(
            rendered(stack, "owner.password"),
            stack.secrets.database_owner_password + "\n",
            account="database",
            is_secret=True,
        ),
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """``postgres -C`` reads the whole configuration before it prints a value of it."""
    return (
        Command(
            (
                str(find_programs(cluster_of(stack)) / "postgres"),
                "-C",
                "shared_buffers",
                f"--config-file={rendered(stack, 'postgresql.conf')}",
            ),
            why="checking the database's configuration",
            account="database",
        ),
    )


def _creation(stack: Stack, programs: Path) -> tuple[Command, ...]:
    """Files of a new database, made beside and renamed: one that was interrupted is made again, never used half.

    C.UTF-8 orders text by code point: the same as SQLite does, twice as fast as a language's rules, usable by LIKE 'a%', and
    unlike those it never changes with an update of the system, which would silently break indexes. Checksums find pages that
    the disk has damaged.
    """
    cluster = cluster_of(stack)
    beside = cluster.with_name("cluster.new")
    initdb = (
        str(programs / "initdb"),
        f"--pgdata={beside}",
        f"--username={OWNER}",
        f"--pwfile={rendered(stack, 'owner.password')}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C.UTF-8",
        "--data-checksums",
        "--no-instructions",
    )
    return (
        Command(("rm", "-rf", str(beside)), why="removing what an interrupted start left", account="database"),
        Command(initdb, why="creating the database's files", account="database", timeout_seconds=120),
        Command(("mv", "-T", str(beside), str(cluster)), why="putting the database's files in place", account="database"),
    )


def _probe(stack: Stack, programs: Path) -> CommandProbe:
    return CommandProbe(
        ask(stack, programs, "SELECT 'healthy';", "asking the database for its health", timeout_seconds=5), "healthy"
    )


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    cluster = cluster_of(stack)
    programs = find_programs(cluster)
    seconds = statement_seconds(stack)
    users = ask(
        stack,
        programs,
        fill(__package__ or __name__, "users.sql"),
        "creating the application's user and database",
        variables={
            "statement_timeout": f"{seconds}s",
            # A transaction that outlives its request by half is forgotten.
            "idle_in_transaction_timeout": f"{stack.config.appserver.request_timeout_seconds * 3 // 2}s",
            # `manage test` creates a database of its own; nobody runs it in production.
            "createdb": "CREATEDB" if stack.environment == "local" else "NOCREATEDB",
        },
        secrets={"SLIPSTREAM_DATABASE_PASSWORD": stack.secrets.database_password},
    )
    return (
        Service(
            name="database",
            layer="database",
            command=("/bin/sh", str(rendered(stack, "start.sh"))),
            account="database",
            probe=_probe(stack, programs),
            environment={"LC_ALL": "C.UTF-8"},
            folders=(stack.state.data / "database", stack.state.run / "database"),
            first=_creation(stack, programs),
            unless_exists=cluster,
            after_start=(users,),
            stop_signal="INT",  # "fast": sessions are ended, everything is written; TERM would wait for pools to disconnect
            stop_timeout_seconds=60,
            start_timeout_seconds=120,  # recovery after a crash replays the log of up to 15 minutes
            listens=("database",),
        ),
    )


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """All but a few numbers (memory, connections, addresses) change at once; those wait for the next start."""
    probe = _probe(stack, find_programs(cluster_of(stack)))
    return (Signal("database", "HUP"), Wait(probe, "reloading the database"))


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """How processes on ``host`` reach the site's database: by the folder of its unix socket when it is there too, else TCP."""
    endpoint = stack.endpoint("database")
    return {
        "alias": "default",
        "engine": "django.db.backends.postgresql",
        "name": DATABASE,
        "user": APPLICATION,
        "password": stack.secrets.database_password,
        "host": address_here(stack) if "database" in host.layers else endpoint.address,
        "port": endpoint.port,
        "pool_max": sizing.connections_of_pool(stack),
    }


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    sql = fill(__package__ or __name__, "vitals.sql")
    programs = find_programs(cluster_of(stack))
    return (
        VitalsSource(
            "database", ask(stack, programs, sql, "asking the database for its numbers", database=DATABASE, timeout_seconds=5)
        ),
    )


def parse(raw: str) -> DatabaseVitals:
    """The database's numbers from the JSON text that vitals.sql prints."""
    return DatabaseVitals(**json.loads(raw))
