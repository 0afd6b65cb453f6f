"""The database on a real MariaDB: its users, its limits, what Django finds in it, and that nothing committed is lost."""

from __future__ import annotations

import os
import signal
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pymysql
import pytest
from contract_suite import ProductContract
from projectcode import project_environment, run_django_code, run_in_project
from startproject import make_django_stack
from workshop import make_stack, running, running_layers, start_preparations, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.contract import CommandProbe, File
from slipstream_ops.layers.database import mariadb
from slipstream_ops.layers.database.mariadb.session import ask
from slipstream_ops.layers.database.vitals import DatabaseVitals
from slipstream_ops.placement import Host, Stack

CONFIG = {"database": {"server": "mariadb", "memory": "200 MB"}}


class TestDatabaseMariadb(ProductContract):
    layer, server = "database", "mariadb"
    recorded, vitals_type = "mariadb.json", DatabaseVitals

    def make_stack(self, folder: Path) -> Stack:
        return make_database_stack(folder)

    def assert_recorded(self, vitals: Any) -> None:
        assert (vitals.connections, vitals.connections_max) == (3, 18)
        assert (vitals.connections_active, vitals.blocked, vitals.idle_in_transaction) == (1, 1, 1)
        assert vitals.oldest_transaction_seconds > 0.2
        assert vitals.longest_query_seconds > 0.2
        assert 0.5 < vitals.cache_hit_ratio < 1
        assert vitals.size_bytes > 10_000
        assert vitals.commits > 0
        assert vitals.wal_bytes > 0
        assert vitals.temporary_bytes is None
        assert vitals.checkpoints_timed is None


def make_database_stack(folder: Path, config: dict[str, Any] | None = None, **host: Any) -> Stack:
    return make_stack(folder, config or CONFIG, **{"layers": frozenset({"database", "appserver", "application"}), **host})


def rows(stack: Stack, sql: str) -> list[str]:
    return execution.run_or_complain(ask(stack, sql, "asking in a test")).output.splitlines()


def connect(stack: Stack, *, is_tcp: bool = False, **options: Any) -> Any:
    """A connection of the application, as its driver makes it."""
    offered = mariadb.offer(stack, stack.hosts[0])
    place = {"host": "127.0.0.1", "port": offered["port"]} if is_tcp else {"unix_socket": offered["host"]}
    return pymysql.connect(
        **{**place, "user": offered["user"], "password": offered["password"], "database": offered["name"], **options}
    )


def numbers(stack: Stack) -> DatabaseVitals:
    (source,) = mariadb.vitals_sources(stack, stack.hosts[0])
    return mariadb.parse(TestDatabaseMariadb.ask(source.ask))


def write_rendered(stack: Stack) -> None:
    for file in mariadb.render(stack, stack.hosts[0]):
        execution.write_file(file)


@pytest.fixture(scope="module")
def database() -> Iterator[Stack]:
    """A running database; tests leave no table behind."""
    with temporary_folder() as folder:
        stack = make_database_stack(folder)
        with running_layers(stack, "database"):
            yield stack


def sized(stack: Stack, name: str) -> Any:
    return next(one.value for one in mariadb.sizes(stack, stack.hosts[0]) if one.name == name)


def test_a_host_of_its_own_gives_80_percent_to_the_pool_and_a_shared_one_less() -> None:
    with temporary_folder() as folder:
        config = {"database": {"server": "mariadb"}}
        alone = make_stack(folder, config, memory_bytes=10_000 << 20, layers=frozenset({"database"}))
        shared = make_stack(folder, config, memory_bytes=10_000 << 20)
        tiny = make_stack(folder, config, memory_bytes=64 << 20)
        assert sized(alone, "innodb_buffer_pool_size") == "8000M"
        assert sized(alone, "innodb_log_file_size") == "2000M"
        assert sized(shared, "innodb_buffer_pool_size") == "2100M"  # 60% of 35% of it
        assert sized(tiny, "innodb_buffer_pool_size") == "32M"


def test_connections_follow_the_processes_and_what_is_written_wins() -> None:
    with temporary_folder() as folder:
        appserver = {"instances": 2, "processes": 3, "threads": 2}
        stack = make_database_stack(folder, {**CONFIG, "appserver": appserver})
        assert sized(stack, "max_connections") == 2 * 6 * 2 + 10
        written = make_database_stack(folder, {"database": {"server": "mariadb", "max_connections": 77}})
        assert sized(written, "max_connections") == 77


def test_the_rendered_numbers_are_in_force(database: Stack) -> None:
    variables = dict(line.split("\t", 1) for line in rows(database, "SHOW GLOBAL VARIABLES;") if "\t" in line)
    for name, value in {
        "innodb_buffer_pool_size": str(120 << 20),
        "max_connections": str(sized(database, "max_connections")),
        "skip_name_resolve": "ON",
        "character_set_server": "utf8mb4",
        "collation_server": mariadb.COLLATION,
        "innodb_flush_log_at_trx_commit": "1",
        "log_bin": "OFF",
        "local_infile": "OFF",
        "time_zone": "+00:00",
        "long_query_time": "0.050000",
        "slow_query_log": "ON",
        "table_open_cache": "2000",
        "innodb_lock_wait_timeout": "27",
        "idle_transaction_timeout": "600",
    }.items():
        assert variables[name] == value, name


def test_users_have_passwords_and_there_is_no_guest(database: Stack) -> None:
    assert sorted(rows(database, "SELECT CONCAT(User, '@', Host) FROM mysql.user;")) == [
        "mariadb.sys@localhost",  # locked
        "root@localhost",
        "slipstream_app@127.0.0.1",
        "slipstream_app@::1",
        "slipstream_app@localhost",
        "slipstream_owner@localhost",
    ]
    assert "test" not in rows(database, "SHOW DATABASES;")
    for user in ("slipstream_app", "slipstream_owner", "nobody", "root"):
        for is_tcp in (True, False):
            if user == "root" and not is_tcp and os.geteuid() == 0:
                continue  # the system's own root may
            with pytest.raises(pymysql.err.OperationalError):
                connect(database, is_tcp=is_tcp, user=user, password="", database=None)


def test_the_application_comes_in_both_ways_and_sees_its_own_database_only(database: Stack) -> None:
    for is_tcp in (True, False):
        with connect(database, is_tcp=is_tcp) as connection, connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            assert {name for (name,) in cursor.fetchall()} == {"information_schema", "site"}
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute("SELECT * FROM mysql.global_priv")
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                cursor.execute("SELECT 1 INTO OUTFILE 'x'")


def test_test_databases_may_be_made_locally_and_not_in_production(database: Stack) -> None:
    with connect(database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE DATABASE test_site_1")
        cursor.execute("DROP DATABASE test_site_1")
        with pytest.raises(pymysql.err.OperationalError, match="denied"):
            cursor.execute("CREATE DATABASE another")
    (users,) = mariadb.services(replace(database, environment="production"), database.hosts[0])[0].after_start[2:]
    assert "test\\_" not in users.stdin


def test_hosts_of_the_application_get_a_user_each() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, CONFIG, layers=frozenset({"database"}))
        web = Host("web", "10.0.0.7", 2, 1 << 30, frozenset({"appserver", "application"}))
        stack = replace(stack, hosts=(*stack.hosts, web))
        (users,) = mariadb.services(stack, stack.hosts[0])[0].after_start[2:]
        assert "slipstream_app@'10.0.0.7'" in users.stdin
        assert mariadb.offer(stack, web)["host"] == stack.endpoint("database").address
        assert mariadb.offer(stack, stack.hosts[0])["host"] == str(stack.state.run / "database" / "mariadb.sock")


def test_no_secret_is_in_a_command_line_or_a_readable_file(database: Stack) -> None:
    secrets = (database.secrets.database_password, database.secrets.database_owner_password)
    for process in psutil.process_iter(["cmdline"]):
        line = " ".join(process.info["cmdline"] or ())
        assert not any(secret in line for secret in secrets)
    (service,) = mariadb.services(database, database.hosts[0])
    assert not any(secret in repr((service, mariadb.vitals_sources(database, database.hosts[0]))) for secret in secrets)
    for path in (database.state.rendered / "database").iterdir():
        if any(secret in path.read_text() for secret in secrets):
            assert path.stat().st_mode & 0o077 == 0, path


def test_listens_on_no_other_address(database: Stack) -> None:
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", database.endpoint("database").port), 2).close()


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("skip_name_resolve", "skip_name_resolver", "skip_name_resolver"),
        ("max_connections = ", "max_connections = some", "max_connections"),
        ("max_connections = ", "max_connections = 999999", "max_connections"),  # only adjusted by the server
        ("collation_server = ", "collation_server = klingon_", "klingon_"),
        ("innodb_flush_log_at_trx_commit = 1", "innodb_flush_log_at_trx_comm = 1", "innodb_flush_log_at_trx_comm"),
    ],
)
def test_the_checker_refuses_a_wrong_line(right: str, wrong: str, said: str) -> None:
    with temporary_folder() as folder:
        stack = make_database_stack(folder)
        for file in mariadb.render(stack, stack.hosts[0]):
            content = file.content.replace(right, wrong, 1) if file.path.name == "mariadb.cnf" else file.content
            execution.write_file(File(file.path, content, file.account, file.is_secret, file.is_executable))
        (command,) = mariadb.check(stack, stack.hosts[0])
        result = execution.run(command)
        assert not result.succeeded
        assert said in result.errors


def test_text_is_compared_as_django_expects(database: Stack) -> None:
    with connect(database, charset="utf8mb4") as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE words (word varchar(50) UNIQUE)")
        try:
            for word in ("resume", "résumé", "😀", "😺", "end", "end "):
                cursor.execute("INSERT INTO words VALUES (%s)", (word,))
            cursor.execute("SELECT word FROM words WHERE word LIKE 'RÉS%%'")
            assert cursor.fetchall() == (("résumé",),)
            with pytest.raises(pymysql.err.IntegrityError):
                cursor.execute("INSERT INTO words VALUES ('RESUME')")
        finally:
            cursor.execute("DROP TABLE words")


def test_time_zones_are_known(database: Stack) -> None:
    assert rows(database, "SELECT CONVERT_TZ('2026-07-01 12:00:00', 'UTC', 'Europe/Paris');") == ["2026-07-01 14:00:00"]


def test_waiting_and_idle_sessions_are_counted(database: Stack) -> None:
    with connect(database) as idle, idle.cursor() as cursor:
        cursor.execute("CREATE TABLE locked (id int PRIMARY KEY) ENGINE=InnoDB")
        try:
            cursor.execute("INSERT INTO locked VALUES (1)")
            vitals = numbers(database)
            assert (vitals.connections, vitals.idle_in_transaction, vitals.blocked) == (1, 1, 0)
            assert vitals.size_bytes
            idle.rollback()
            ask_again = mariadb.vitals_sources(database, database.hosts[0])[0].ask
            none_left = CommandProbe(ask_again, '"idle_in_transaction": 0')  # type: ignore[arg-type]
            assert execution.wait_for(none_left, 5) is None  # InnoDB tells of its transactions every 0.1 s
        finally:
            cursor.execute("DROP TABLE locked")


def test_a_reload_changes_the_numbers_without_a_restart(database: Stack) -> None:
    def change_to(memory: int, milliseconds: int) -> None:
        section = database.config.database.model_copy(update={"memory": memory, "slow_query_milliseconds": milliseconds})
        changed = replace(database, config=database.config.model_copy(update={"database": section}))
        for action in mariadb.reload(changed, changed.hosts[0]):
            TestDatabaseMariadb.carry_out(action, {})

    started = "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'UPTIME';"
    before = int(rows(database, started)[0])
    change_to(100 << 20, 70)
    assert rows(database, "SELECT @@innodb_buffer_pool_size, @@GLOBAL.long_query_time;") == [f"{60 << 20}\t0.070000"]
    change_to(200 << 20, 50)
    assert int(rows(database, started)[0]) >= before


def test_a_kill_loses_no_committed_row_and_leaves_no_process() -> None:
    with temporary_folder() as folder:
        stack = make_database_stack(folder)
        write_rendered(stack)
        (service,) = mariadb.services(stack, stack.hosts[0])
        with running(service, folder / "first.log") as process:
            connection = connect(stack)
            with connection.cursor() as cursor:
                cursor.execute("CREATE TABLE kept (id int PRIMARY KEY)")
                cursor.executemany("INSERT INTO kept VALUES (%s)", [(number,) for number in range(500)])
                connection.commit()
                cursor.execute("INSERT INTO kept VALUES (1000)")  # not committed
            children = psutil.Process(process.pid).children()
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            _, alive = psutil.wait_procs(children, timeout=10)
            assert not alive
        secrets = replace(stack.secrets, database_password="new \\ 'pass\"word", database_owner_password="owner-changed")
        changed = replace(stack, secrets=secrets)
        write_rendered(changed)
        (service,) = mariadb.services(changed, changed.hosts[0])
        with running(service, folder / "second.log"):
            assert rows(changed, "SELECT COUNT(*), MAX(id) FROM site.kept;") == ["500\t499"]
            connect(changed).close()
            with pytest.raises(pymysql.err.OperationalError, match="denied"):
                connect(stack)


def test_slow_statements_are_in_the_log_of_the_service_and_passwords_are_not() -> None:
    with temporary_folder() as folder:
        stack = make_database_stack(folder, {"database": {"server": "mariadb", "slow_query_milliseconds": 0}})
        write_rendered(stack)
        (service,) = mariadb.services(stack, stack.hosts[0])
        log = folder / "database.log"
        with running(service, log):
            with connect(stack) as connection, connection.cursor() as cursor:
                cursor.execute("SELECT 'a slow statement'")
            deadline = time.monotonic() + 10
            while "a slow statement" not in log.read_text() and time.monotonic() < deadline:
                time.sleep(0.05)
        said = log.read_text()
        assert "a slow statement" in said
        assert "Query_time" in said
        assert stack.secrets.database_password not in said
        assert stack.secrets.database_owner_password not in said


def test_an_interrupted_creation_is_made_again() -> None:
    with temporary_folder() as folder:
        stack = make_database_stack(folder)
        write_rendered(stack)
        (service,) = mariadb.services(stack, stack.hosts[0])
        beside = mariadb.cluster_of(stack).with_name("mariadb.new")
        execution.make_folder(beside.parent, "database")
        execution.make_folder(beside, "database")
        (beside / "half").write_text("made")
        start_preparations(service)
        assert not beside.exists()
        assert not (mariadb.cluster_of(stack) / "half").exists()


LIMITS = (
    "from django.db import connection\n"
    "with connection.cursor() as cursor:\n"
    "    cursor.execute('SELECT @@max_statement_time, @@idle_transaction_timeout, @@character_set_client')\n"
    "    print(*cursor.fetchone())"
)


def test_an_unedited_project_is_migrated_and_works_on_it() -> None:
    with temporary_folder() as folder:
        stack = make_django_stack(folder, CONFIG, layers=("database", "appserver"))
        with running_layers(stack, "database"):
            run_in_project(stack, "manage.py", "migrate", "--verbosity", "0")
            run_in_project(stack, "manage.py", "check", "--database", "default")
            printed = run_django_code(
                stack,
                "from django.contrib.auth.models import User\n"
                "from django.db import connection\n"
                "from django.db.models.functions import TruncMonth\n"
                "from django.utils import timezone\n"
                "import zoneinfo\n"
                "User.objects.create_user('Zoë 😀', 'z@example.org', 'x')\n"
                "timezone.activate(zoneinfo.ZoneInfo('Europe/Paris'))\n"
                "month = User.objects.annotate(month=TruncMonth('date_joined')).get(username__icontains='ZOË').month\n"
                "print(connection.vendor, connection.mysql_is_mariadb, User.objects.count(), month is not None)",
            )
            assert printed.split() == ["mysql", "True", "1", "True"]
            assert int(rows(stack, "SELECT COUNT(*) FROM site.django_migrations;")[0]) > 10
            assert run_django_code(stack, LIMITS).split() == ["27.0", "40", "utf8mb4"]


def test_processes_that_no_visitor_waits_for_have_no_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with temporary_folder() as folder:
        stack = make_django_stack(folder, CONFIG, layers=("database", "appserver"))
        for name, value in mariadb.UNHURRIED.items():
            monkeypatch.setenv(name, value)
        assert project_environment(stack)["SLIPSTREAM_UNHURRIED"] == "1"
        with running_layers(stack, "database"):
            assert run_django_code(stack, LIMITS).split() == ["0.0", "600", "utf8mb4"]
