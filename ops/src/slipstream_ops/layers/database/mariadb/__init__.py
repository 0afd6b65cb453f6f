"""MariaDB as the database: a private data folder of the stack, sized from one budget, reached by password alone."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

from slipstream import wire
from slipstream_ops.layers.contract import (
    Action,
    Command,
    CommandProbe,
    EndpointNeed,
    File,
    Lent,
    Requirement,
    Service,
    VitalsSource,
    Wait,
)
from slipstream_ops.layers.database.mariadb.session import APPLICATION, DATABASE, OWNER, ask, option_file, options, quote
from slipstream_ops.layers.database.mariadb.sizing import sizes
from slipstream_ops.layers.database.postgresql import statement_seconds
from slipstream_ops.layers.database.vitals import DatabaseVitals
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile, parse_size

__all__ = [
    "LENDS",
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

TITLE = "MariaDB"
REQUIREMENTS = (
    # The core packages: programs alone, without the system's own database and its service.
    Requirement("mariadbd", "mariadb-server-core"),
    Requirement("mariadb", "mariadb-client-core"),
    Requirement("mariadb-tzinfo-to-sql", "mariadb-client tzdata"),
)
# mysqlclient, Django's own choice, is on PyPI as source alone and needs a compiler and headers; a project that has it keeps it.
LENDS = (Lent(("MySQLdb", "pymysql"), "PyMySQL>=1.1.1"),)
UNHURRIED = {wire.UNHURRIED_VARIABLE: "1"}
COLLATION = "utf8mb4_uca1400_nopad_as_ci"
OPEN_FILES = 8192  # two for each of 2000 open tables, and 400 connections
IDLE_IN_TRANSACTION_SECONDS = 600  # for those whom no visitor waits for


def data_of(stack: Stack) -> Path:
    return stack.state.data / "database"


def cluster_of(stack: Stack) -> Path:
    """Folder of the database's files; another name than PostgreSQL's, so that a change of product overwrites nothing."""
    return data_of(stack) / "mariadb"


def socket_of(stack: Stack) -> Path:
    return stack.state.run / "database" / "mariadb.sock"


def rendered(stack: Stack, name: str) -> Path:
    return stack.state.rendered / "database" / name


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return (EndpointNeed("database", 8630, socket="database/mariadb.sock"),)


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    package = __package__ or __name__
    configuration = fill(
        package,
        "mariadb.cnf.j2",
        cluster=cluster_of(stack),
        data=data_of(stack),
        socket=socket_of(stack),
        endpoint=stack.endpoint("database"),
        owner_sql=rendered(stack, "owner.sql"),
        sizes=sizes(stack, host),
        open_files=OPEN_FILES,
        collation=COLLATION,
        idle_in_transaction_seconds=IDLE_IN_TRANSACTION_SECONDS,
        statement_seconds=statement_seconds(stack),
        slow_query_milliseconds=stack.config.database.slow_query_milliseconds,
    )
    start = fill(
        package,
        "start.sh.j2",
        quote=lambda path: shlex.quote(str(path)),
        data=data_of(stack),
        configuration=rendered(stack, "mariadb.cnf"),
    )
    owner = fill(package, "owner.sql.j2", owner=OWNER, password=stack.secrets.database_owner_password, quote=quote)
    return (
        File(rendered(stack, "mariadb.cnf"), configuration),
        File(rendered(stack, "start.sh"), start, is_executable=True),
        File(rendered(stack, "owner.sql"), owner, account="database", is_secret=True),
        File(option_file(stack), options(stack, socket_of(stack)), account="database", is_secret=True),
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """The options read by the server itself, which refuses unknown ones; values that it would only adjust are refused too."""
    return (
        Command(
            ("/bin/sh", "-c", fill(__package__ or __name__, "check.sh"), "check", str(rendered(stack, "mariadb.cnf"))),
            why="checking the database's configuration",
            account="database",
        ),
    )


def _creation(stack: Stack) -> tuple[Command, ...]:
    """Files of a new database, made beside and renamed: one that was interrupted is made again, never used half.

    Without a test database and without anonymous users; root gets in by the unix socket only, and only as the system's root.
    """
    cluster = cluster_of(stack)
    beside = cluster.with_name("mariadb.new")
    install = (
        "mariadb-install-db",
        f"--defaults-file={rendered(stack, 'mariadb.cnf')}",
        f"--datadir={beside}",
        "--skip-test-db",
        "--skip-name-resolve",
        "--auth-root-authentication-method=socket",
        "--auth-root-socket-user=root",
    )
    return (
        Command(("rm", "-rf", str(beside)), why="removing what an interrupted start left", account="database"),
        Command(install, why="creating the database's files", account="database", timeout_seconds=120),
        Command(("mv", "-T", str(beside), str(cluster)), why="putting the database's files in place", account="database"),
    )


def _probe(stack: Stack) -> CommandProbe:
    return CommandProbe(ask(stack, "SELECT 'healthy';", "asking the database for its health", timeout_seconds=5), "healthy")


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    package = __package__ or __name__
    others = [h.address for h in stack.hosts if h.name != host.name and h.layers & {"application", "appserver", "workers"}]
    users = fill(
        package,
        "users.sql.j2",
        application=APPLICATION,
        database=DATABASE,
        collation=COLLATION,
        password=stack.secrets.database_password,
        addresses=list(dict.fromkeys(("localhost", "127.0.0.1", "::1", *others))),
        is_local=stack.environment == "local",
        quote=quote,
    )
    # After an update of the package; it ends at once when the files are of this version.
    upgrade = ("mariadb-upgrade", f"--defaults-file={option_file(stack)}", "--silent")
    zones = ("/bin/sh", "-c", fill(package, "zones.sh"), "zones", str(option_file(stack)))
    return (
        Service(
            name="database",
            layer="database",
            command=("/bin/sh", str(rendered(stack, "start.sh"))),
            account="database",
            probe=_probe(stack),
            folders=(data_of(stack), data_of(stack) / "files", stack.state.run / "database"),
            first=_creation(stack),
            unless_exists=cluster_of(stack),
            after_start=(
                Command(upgrade, why="bringing the system's tables to this version", account="database", timeout_seconds=600),
                Command(zones, why="filling the tables of time zones", account="database", timeout_seconds=120),
                ask(stack, users, "creating the application's user and database"),
            ),
            stop_timeout_seconds=60,
            start_timeout_seconds=120,  # recovery after a crash reads the log again
            open_files=OPEN_FILES,
            listens=("database",),
        ),
    )


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """The sizes and the slow log's limit are set in the running server; everything else changes with the next start."""
    milliseconds = stack.config.database.slow_query_milliseconds
    numbers = {one.name: parse_size(one.value) for one in sizes(stack, host)}
    assignments = [f"SET GLOBAL {name} = {value};" for name, value in numbers.items()]
    sql = "\n".join([*assignments, f"SET GLOBAL long_query_time = {milliseconds / 1000};", "SELECT 'changed';"])
    change = ask(stack, sql, "reloading the database")
    return (Wait(CommandProbe(change, "changed"), "reloading the database"), Wait(_probe(stack), "reloading the database"))


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """How processes on ``host`` reach the site's database: by its unix socket when it is there too, else TCP."""
    endpoint = stack.endpoint("database")
    return {
        "alias": "default",
        "engine": "django.db.backends.mysql",
        "name": DATABASE,
        "user": APPLICATION,
        "password": stack.secrets.database_password,
        "host": str(socket_of(stack)) if "database" in host.layers else endpoint.address,
        "port": endpoint.port,
        "pool_max": 1,  # Django pools connections to PostgreSQL and Oracle only
        "statement_seconds": statement_seconds(stack),
    }


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    sql = fill(__package__ or __name__, "vitals.sql")
    return (VitalsSource("database", ask(stack, sql, "asking the database for its numbers", timeout_seconds=5)),)


def parse(raw: str) -> DatabaseVitals:
    """The database's numbers from the JSON text that vitals.sql prints. Bytes of temporary files and checkpoints are not
    counted by MariaDB: None."""
    return DatabaseVitals(**json.loads(raw))
