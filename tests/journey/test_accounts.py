"""Whose rights services have: as root each drops to a user of its own and reads a private home; else all run as the caller."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from conftest import start_project
from shop import make_shop
from sites import Site, make_environment, running

USER = "slipstream-journey"
EXPECTED = {
    "edge": "slipstream-edge",
    "accelerator": "slipstream-accelerator",
    "accelerator-log": "slipstream-accelerator",
    "app-1": "slipstream-app",
    "app-2": "slipstream-app",
    "workers-high": "slipstream-app",
    "workers-default": "slipstream-app",
    "workers-low": "slipstream-app",
    "cache": "slipstream-cache",
    "broker": "slipstream-broker",
    "database": "slipstream-database",
    "mail": "slipstream-mail",
}


def users_of(pid: int) -> set[str]:
    """Effective users of a process and all below it."""
    process = psutil.Process(pid)
    return {pwd.getpwuid(member.uids().effective).pw_name for member in [process, *process.children(recursive=True)]}


@pytest.fixture
def private_home() -> Iterator[Path]:
    """A home that only its owner (root) may enter."""
    home = Path("/root") / "slipstream-journey-home" if os.geteuid() == 0 else Path.home() / "slipstream-journey-home"
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(mode=0o700)
    yield home
    shutil.rmtree(home, ignore_errors=True)


def test_as_root_each_service_has_a_user_of_its_own_and_reads_a_private_home(private_home: Path) -> None:
    assert os.geteuid() == 0, "the suite runs as root or with sudo"
    site = make_shop(private_home / "shop")
    (site.folder / "private-notes.txt").write_text("not for others")
    (site.folder / "private-notes.txt").chmod(0o600)
    with running(site):
        rows = {row["service"]: row for row in site.status()["services"]}
        assert set(rows) == set(EXPECTED)
        for name, user in EXPECTED.items():
            users = users_of(rows[name]["pid"])
            if name == "edge":
                users -= {"root"}  # its master stays, to bind ports below 1024 again at a reload; the worker faces the visitors
            assert users == {user}, f"{name} runs as {users}"
        with site.visitor() as visitor:
            assert pwd.getpwuid(visitor.get("/whoami/").json()["uid"]).pw_name == "slipstream-app"
            assert visitor.post("/notes/", data={"text": "written"}).status_code == 201
        as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "cat"]
        for path in (
            site.folder / "manage.py",
            site.state / "secrets.env",
            site.state / "rendered" / "application" / "overlay.json",
        ):
            assert subprocess.run([*as_nobody, path], capture_output=True, check=False).returncode != 0, (
                f"anybody may read {path}"
            )
        as_edge = ["setpriv", "--reuid", "slipstream-edge", "--regid", "slipstream-edge", "--clear-groups", "cat"]
        for path in (site.folder / "private-notes.txt", site.state / "rendered" / "application" / "overlay.json"):
            assert subprocess.run([*as_edge, path], capture_output=True, check=False).returncode != 0, f"the edge may read {path}"
    home = private_home.parent
    site.slipstream("down", "--destroy", "--yes")
    listed = subprocess.run(["getfacl", "-p", home, private_home, site.folder], capture_output=True, text=True, check=True).stdout
    assert "user:slipstream-" not in listed and "default:" not in listed, "what was opened is closed again"


def test_what_the_stack_made_in_a_project_becomes_its_owners(private_home: Path, django_environment: Path) -> None:
    site = start_project(private_home / "bare", django_environment)
    with running(site):
        assert pwd.getpwuid((site.folder / "db.sqlite3").stat().st_uid).pw_name == "slipstream-app"
    site.slipstream("down", "--destroy", "--yes")
    assert {path.stat().st_uid for path in site.folder.rglob("*")} == {os.geteuid()}


@pytest.fixture
def ordinary_user() -> Iterator[str]:
    subprocess.run(["userdel", "--remove", USER], check=False, capture_output=True)
    subprocess.run(["useradd", "--create-home", "--shell", "/bin/sh", USER], check=True)
    yield USER
    subprocess.run(["userdel", "--remove", USER], check=False, capture_output=True)


def test_as_an_ordinary_user_everything_runs_as_the_caller(ordinary_user: str) -> None:
    home = Path(pwd.getpwnam(ordinary_user).pw_dir)
    python = make_environment(home / "environment", "Django>=5.2,<5.3", "celery")
    shop = make_shop(home / "shop")
    subprocess.run(["chown", "-R", f"{ordinary_user}:", home], check=True)
    environment = {"HOME": str(home), "USER": ordinary_user, "XDG_DATA_HOME": str(home / "share")}
    site = Site(shop.folder, python, environment, ordinary_user)
    with running(site):
        for row in site.status()["services"]:
            assert row["state"] == "healthy", row
            assert users_of(row["pid"]) == {ordinary_user}
        with site.visitor() as visitor:
            assert pwd.getpwuid(visitor.get("/whoami/").json()["uid"]).pw_name == ordinary_user
            assert visitor.post("/notes/", data={"text": "written"}).status_code == 201
        settings = json.loads(site.slipstream("config", "settings", "--json").stdout)
        assert settings["changes"]


def test_only_the_edge_could_be_reached_from_outside(private_home: Path) -> None:
    site = make_shop(private_home / "loopback")
    with running(site):
        rows = site.status()["services"]
        assert {row["state"] for row in rows} == {"healthy"}, rows
        for row in rows:
            process = psutil.Process(row["pid"])
            for member in [process, *process.children(recursive=True)]:
                for connection in member.net_connections(kind="inet"):
                    if connection.status == psutil.CONN_LISTEN:
                        assert connection.laddr.ip in ("127.0.0.1", "::1"), f"{row['service']} listens on {connection.laddr}"
