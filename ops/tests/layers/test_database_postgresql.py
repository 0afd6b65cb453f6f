"""The database on a real PostgreSQL: its users, its limits, and that nothing committed is lost."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
from contract_suite import ProductContract
from workshop import make_stack, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.contract import Command
from slipstream_ops.layers.database import postgresql as product
from slipstream_ops.layers.database.vitals import DatabaseVitals
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

LAYERS = frozenset({"database", "cache"})
ELSEWHERE = Host("app-1", "127.0.0.1", cores=2, memory_bytes=1 << 30, layers=frozenset({"appserver", "application"}))


class TestDatabasePostgresql(ProductContract):
    layer, server = "database", "postgresql"
    recorded, vitals_type = "postgresql.json", DatabaseVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_database(folder)

    def assert_recorded(self, vitals: Any) -> None:
        assert (vitals.connections, vitals.connections_max) == (0, 41)
        assert vitals.oldest_transaction_seconds is None
        assert 0.99 < vitals.cache_hit_ratio < 1
        assert vitals.size_bytes > 7_000_000


def make_database(folder: Path, **database: Any) -> Stack:
    return make_stack(folder, {"database": {"server": "postgresql", **database}}, layers=LAYERS)


@pytest.fixture
def stack() -> Iterator[Stack]:
    with temporary_folder() as folder:
        yield make_database(folder)


@pytest.fixture(scope="module")
def running_stack() -> Iterator[Stack]:
    """One server for all tests that leave it as it was."""
    with temporary_folder() as folder:
        stack = make_database(folder)
        with running_layers(stack, "database"):
            yield stack


def connect(stack: Stack, host: Host | None = None, **changes: Any) -> psycopg.Connection[Any]:
    offer = product.offer(stack, host or stack.hosts[0])
    return psycopg.connect(
        **{
            "host": offer["host"],
            "port": offer["port"],
            "dbname": offer["name"],
            "user": offer["user"],
            "password": offer["password"],
            "autocommit": True,
            **changes,
        }
    )


def connect_as_owner(stack: Stack) -> psycopg.Connection[Any]:
    return connect(stack, user="slipstream_owner", password=stack.secrets.database_owner_password)


def fetch(connection: psycopg.Connection[Any], sql: str, *parameters: Any) -> Any:
    row = connection.execute(sql, parameters or None).fetchone()
    return row and row[0]


def ask_vitals(stack: Stack) -> DatabaseVitals:
    (source,) = product.vitals_sources(stack, stack.hosts[0])
    assert isinstance(source.ask, Command)
    return product.parse(execution.run_or_complain(source.ask).output)


def log_of(stack: Stack) -> str:
    return (stack.state.root / "database.log").read_text()


# The application -----------------------------------------------------------------------------------------------------


def test_processes_of_this_host_and_of_others_reach_it(running_stack: Stack) -> None:
    assert product.offer(running_stack, running_stack.hosts[0])["host"].startswith("/")
    assert product.offer(running_stack, ELSEWHERE)["host"] == "127.0.0.1"
    for host in (running_stack.hosts[0], ELSEWHERE):
        with connect(running_stack, host) as connection:
            assert fetch(connection, "SELECT current_user || '@' || current_database()") == "slipstream_app@site"


FORBIDDEN = ("CREATE ROLE other", "COPY article FROM '/etc/passwd'", "SELECT pg_reload_conf()", "CREATE EXTENSION file_fdw")


def test_the_application_owns_its_database_and_nothing_else(running_stack: Stack) -> None:
    with connect(running_stack) as connection:
        connection.execute("CREATE TABLE article (title text)")
        connection.execute("CREATE EXTENSION pg_trgm")  # trusted: an owner's right
        connection.execute("CREATE DATABASE test_site")  # by `manage test`
        connection.execute("DROP DATABASE test_site")
        for sql in (
            "CREATE ROLE other",
            "COPY article FROM '/etc/passwd'",
            "SELECT pg_reload_conf()",
            "CREATE EXTENSION file_fdw",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(sql)
        connection.execute("DROP TABLE article; DROP EXTENSION pg_trgm")
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        connect(running_stack, dbname="postgres")


@pytest.mark.parametrize("host", [None, ELSEWHERE], ids=["socket", "TCP"])
def test_nobody_gets_in_without_the_password(running_stack: Stack, host: Host | None) -> None:
    for user in ("slipstream_app", "slipstream_owner"):
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            connect(running_stack, host, user=user, password="wrong")


def test_a_request_has_a_time_limit_below_the_app_servers_and_maintenance_has_none(running_stack: Stack) -> None:
    with connect(running_stack) as connection:
        assert fetch(connection, "SHOW statement_timeout") == "27s"
        assert fetch(connection, "SHOW idle_in_transaction_session_timeout") == "45s"
    unhurried = product.UNHURRIED["PGOPTIONS"]
    with connect(running_stack, options=unhurried) as connection:
        assert fetch(connection, "SHOW statement_timeout") == "0"
        assert fetch(connection, "SHOW idle_in_transaction_session_timeout") == "10min"


@pytest.mark.parametrize("request_seconds, statement_seconds", [(2, 1), (10, 9), (30, 27), (300, 270)])
def test_time_limits_agree(request_seconds: int, statement_seconds: int) -> None:
    with temporary_folder() as folder:
        config = {"appserver": {"request_timeout_seconds": request_seconds}}
        assert product.statement_seconds(make_stack(folder, config, layers=LAYERS)) == statement_seconds


# What is written down ------------------------------------------------------------------------------------------------


def test_passwords_leave_no_trace(running_stack: Stack) -> None:
    host, secrets = running_stack.hosts[0], running_stack.secrets
    (service,) = product.services(running_stack, host)
    for command in service.after_start:
        execution.run_or_complain(command)
    with connect_as_owner(running_stack) as connection:
        statements = str(connection.execute("SELECT query FROM pg_stat_statements").fetchall())
    shown = repr((service, product.check(running_stack, host), product.reload(running_stack, host)))
    arguments = [word for command in (*service.first, *service.after_start) for word in command.argv]
    for password in (secrets.database_password, secrets.database_owner_password):
        assert password not in log_of(running_stack)
        assert password not in statements
        assert password not in shown
        assert password not in " ".join(arguments)
    for file in product.render(running_stack, host):
        if secrets.database_owner_password in file.content:
            assert file.path.stat().st_mode & 0o777 == 0o600
        assert secrets.database_password not in file.content


def test_a_new_password_is_in_force_after_the_next_start(running_stack: Stack) -> None:
    changed = replace(running_stack, secrets=replace(running_stack.secrets, database_password='it\'s new; \\ "quoted"'))
    try:
        for command in product.services(changed, changed.hosts[0])[0].after_start:
            execution.run_or_complain(command)
        with connect(changed) as connection:
            assert fetch(connection, "SELECT 1") == 1
    finally:
        for command in product.services(running_stack, running_stack.hosts[0])[0].after_start:
            execution.run_or_complain(command)


def test_slow_statements_are_logged_without_the_values_of_their_parameters(running_stack: Stack) -> None:
    with connect(running_stack, application_name="app-1") as connection:
        connection.execute("SELECT pg_sleep(0.1), %s::text", ("a visitor's secret",))
    log = log_of(running_stack)
    (line,) = [line for line in log.splitlines() if "SELECT pg_sleep(0.1), $1::text" in line and "duration:" in line]
    assert "app=app-1 db=site user=slipstream_app" in line
    assert "a visitor's secret" not in log
    with connect_as_owner(running_stack) as connection:
        assert fetch(connection, "SELECT calls FROM pg_stat_statements WHERE query LIKE 'SELECT pg_sleep%%'")


def test_what_is_rendered_is_in_force(running_stack: Stack) -> None:
    with connect_as_owner(running_stack) as connection:
        assert (
            connection.execute("SELECT name, error FROM pg_file_settings WHERE NOT applied OR error IS NOT NULL").fetchall() == []
        )
        assert connection.execute("SELECT error FROM pg_hba_file_rules WHERE error IS NOT NULL").fetchall() == []
        for sized in product.sizes(running_stack, running_stack.hosts[0]):
            same = "SELECT count(*) FROM pg_file_settings WHERE name = %s AND setting = %s AND applied"
            assert fetch(connection, same, sized.name, str(sized.value)) == 1, sized
        assert fetch(connection, "SHOW data_checksums") == "on"
        assert fetch(connection, "SHOW password_encryption") == "scram-sha-256"
        assert fetch(connection, "SELECT datcollate FROM pg_database WHERE datname = 'site'") == "C.UTF-8"
        assert fetch(connection, "SELECT upper('straße ñandú')") == "STRAßE ÑANDÚ"


# Vitals --------------------------------------------------------------------------------------------------------------


def test_vitals_tell_who_waits_for_whom(running_stack: Stack) -> None:
    with connect(running_stack) as holder, connect(running_stack) as waiter:
        holder.execute("CREATE TABLE held (id int)")
        try:
            holder.execute("BEGIN; LOCK TABLE held")
            waiter.execute("SET statement_timeout = '20s'")
            waiter.pgconn.send_query(b"SELECT * FROM held")

            def is_not_blocked_yet() -> bool:
                return ask_vitals(running_stack).blocked == 0

            (service,) = product.services(running_stack, running_stack.hosts[0])
            never = replace(service.probe, expect="something that is never said")
            execution.wait_for(never, 10, may_go_on=is_not_blocked_yet)
            vitals = ask_vitals(running_stack)
            assert (vitals.blocked, vitals.idle_in_transaction, vitals.connections_active) == (1, 1, 1)
            assert vitals.connections == 2
            assert vitals.oldest_transaction_seconds and vitals.longest_query_seconds
        finally:
            waiter.close()
            holder.execute("ROLLBACK; DROP TABLE held")


def test_vitals_are_told_when_all_connections_are_taken(running_stack: Stack) -> None:
    taken = []
    try:
        with pytest.raises(psycopg.OperationalError, match=r"remaining connection slots are reserved|too many clients"):
            for _ in range(100):
                taken.append(connect(running_stack))
        vitals = ask_vitals(running_stack)
        assert vitals.connections == len(taken) == (vitals.connections_max or 0) - 3
    finally:
        for connection in taken:
            connection.close()


# Starts, crashes, versions -------------------------------------------------------------------------------------------


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL to the server, and wait until its children have noticed."""
    children = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert psutil.wait_procs(children, timeout=30)[1] == []


def test_no_committed_row_is_lost_when_the_server_is_killed(stack: Stack) -> None:
    lock = product.cluster_of(stack) / "postmaster.pid"
    with running_layers(stack, "database") as processes:
        with connect(stack) as connection:
            connection.execute("CREATE TABLE article AS SELECT generate_series(1, 1000) AS id")
        unfinished = connect(stack, autocommit=False)
        unfinished.execute("INSERT INTO article VALUES (1001)")
        kill(processes["database"])
        unfinished.close()
    assert lock.exists()
    # After a crash of the whole machine its process id may belong to any other program, even one of the same user.
    user = execution.user_of("database")
    bystander = subprocess.Popen(["sleep", "60"], user=user.pw_uid if user else None)
    try:
        lines = lock.read_text().splitlines()
        lock.write_text("\n".join([str(bystander.pid), *lines[1:]]) + "\n")
        with running_layers(stack, "database"), connect(stack) as connection:
            assert fetch(connection, "SELECT count(*) FROM article") == 1000
        assert "removing the lock file of a crashed server" in log_of(stack)
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_second_server_on_the_same_files_is_refused(stack: Stack) -> None:
    (service,) = product.services(stack, stack.hosts[0])
    with running_layers(stack, "database"), connect(stack) as connection:
        result = execution.run(Command(service.command, why="starting a second server", account="database"))
        assert not result.succeeded and 'lock file "postmaster.pid" already exists' in result.transcript
        assert fetch(connection, "SELECT 1") == 1


def test_files_whose_creation_was_interrupted_are_made_again(stack: Stack) -> None:
    half = product.cluster_of(stack).with_name("cluster.new")
    execution.make_folder(half.parent, "database")
    execution.make_folder(half, "database")
    (half / "PG_VERSION").write_text("15\n")
    with running_layers(stack, "database"), connect(stack) as connection:
        assert fetch(connection, "SELECT 1") == 1
    assert not half.exists()


def test_a_cluster_of_a_version_that_is_not_installed_is_left_as_it_is(stack: Stack) -> None:
    cluster = product.cluster_of(stack)
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("9\n")
    with pytest.raises(Complaint, match=r"PostgreSQL 9, which made the database.*Nothing was changed.*postgresql-9"):
        product.services(stack, stack.hosts[0])
    assert [path.name for path in cluster.iterdir()] == ["PG_VERSION"]


@pytest.mark.parametrize("line", ["shared_buffers = plenty", "no_such_setting = on", "work_mem = '4 MB"])
def test_its_checker_refuses_what_postgresql_refuses(stack: Stack, line: str) -> None:
    for file in product.render(stack, stack.hosts[0]):
        execution.write_file(replace(file, content=file.content + line + "\n") if file.path.name == "postgresql.conf" else file)
    (command,) = product.check(stack, stack.hosts[0])
    result = execution.run(command)
    assert not result.succeeded
    assert "postgresql.conf" in result.transcript or line.split()[0] in result.transcript


def test_a_reload_changes_what_can_be_changed(stack: Stack) -> None:
    with running_layers(stack, "database") as processes, connect(stack) as connection:
        changed = replace(stack, config=StackFile.model_validate({"database": {"slow_query_milliseconds": 7}}))
        for file in product.render(changed, changed.hosts[0]):
            execution.write_file(file)
        for action in product.reload(changed, changed.hosts[0]):
            ProductContract.carry_out(action, processes)
        (service,) = product.services(changed, changed.hosts[0])
        never = replace(service.probe, expect="something that is never said")
        execution.wait_for(never, 10, may_go_on=lambda: fetch(connection, "SHOW log_min_duration_statement") != "7ms")
        assert fetch(connection, "SHOW log_min_duration_statement") == "7ms"


def test_paths_with_spaces_and_quotes() -> None:
    with temporary_folder() as folder:
        odd = folder / "it's, well"
        odd.mkdir(mode=0o755)
        stack = make_database(odd)
        for file in product.render(stack, stack.hosts[0]):
            execution.write_file(file)
        assert execution.run(product.check(stack, stack.hosts[0])[0]).succeeded
        with running_layers(stack, "database"), connect(stack) as connection:
            assert fetch(connection, "SELECT 1") == 1


# Sizes ---------------------------------------------------------------------------------------------------------------


def sizes_of(stack: Stack) -> dict[str, Any]:
    return {sized.name: sized.value for sized in product.sizes(stack, stack.hosts[0])}


def test_on_a_host_of_its_own_it_takes_the_shares_of_the_book() -> None:
    with temporary_folder() as folder:
        stack = make_stack(
            folder, {"database": {"max_connections": 200}}, layers=frozenset({"database"}), cores=16, memory_bytes=64 << 30
        )
        assert sizes_of(stack) == {
            "max_connections": 200,
            "shared_buffers": "8192MB",  # 25% of RAM, at most 8 GB
            "effective_cache_size": "32768MB",  # RAM / 2
            "work_mem": f"{2 * (64 << 20) // 200}kB",  # 2 x RAM / max_connections
            "maintenance_work_mem": "2048MB",  # RAM / 16, here at its limit
            "max_wal_size": "4096MB",
            "max_parallel_workers_per_gather": 4,
        }


@pytest.mark.parametrize("gigabytes", [1, 2, 12, 64])
def test_on_a_shared_host_it_stays_within_its_share(gigabytes: int) -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, layers=LAYERS, memory_bytes=gigabytes << 30)
        sizes = sizes_of(stack)
        share = (gigabytes << 20) * 35 // 45  # kB: 35 parts of the database, 10 of the cache
        sorts = int(sizes["work_mem"][:-2]) * sizes["max_connections"] * 2  # hash tables take twice work_mem
        maintenance = int(sizes["maintenance_work_mem"][:-2]) * 1024 * 4  # three vacuums and an index
        assert int(sizes["shared_buffers"][:-2]) * 1024 + sorts + maintenance <= share * 1.01


def test_connections_have_room_for_every_process_and_stay_under_400() -> None:
    with temporary_folder() as folder:
        small = make_stack(folder, layers=LAYERS)
        assert sizes_of(small)["max_connections"] == 20
        farm = replace(small, hosts=(*small.hosts, *(replace(ELSEWHERE, name=f"app-{n}", cores=32) for n in range(6))))
        assert sizes_of(farm)["max_connections"] == 399
        config = {"database": {"server": "postgresql", "max_connections": 20}, "appserver": {"threads": 8}}
        written = make_stack(folder, config, layers=LAYERS)
        assert sizes_of(written)["max_connections"] == 20
        crowded = replace(written, hosts=(*written.hosts, replace(ELSEWHERE, cores=3)))
        assert product.offer(crowded, crowded.hosts[0])["pool_max"] == 1  # 9 are wanted, (20 - 13) / 4 processes have room


def test_the_environment_of_the_caller_does_not_reach_psql(running_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGUSER", "PGDATABASE", "PGPASSWORD", "PGSERVICE", "PGHOSTADDR", "PGOPTIONS"):
        monkeypatch.setitem(os.environ, name, "nonsense")
    assert ask_vitals(running_stack).connections is not None
