"""When a part dies: the table of the architecture, row by row, under load, on the real servers; and reloads that lose nothing."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest
import redis
from shop import make_shop
from sites import Site, running
from visitors import visiting

from slipstream_ops.placement import State
from slipstream_ops.supervision.supervisord import Supervisor

ANYONES = ("/page/", "/private/")
"""Pages that need no database."""


@pytest.fixture(scope="module")
def shop(projects: Path) -> Iterator[Site]:
    with running(make_shop(projects / "shop")) as site:
        yield site


@pytest.fixture
def supervisor(shop: Site) -> Iterator[Supervisor]:
    """The stack's process manager; whatever a test stopped runs again afterwards."""
    found = Supervisor(State(shop.state, shop.state / "run"))
    yield found
    for name, state in found.states().items():
        if not state.pid:
            found.start(name)
    wait_until(lambda: all(row["state"] == "healthy" for row in shop.status()["services"]), "all services are healthy again")


def wait_until(is_true: Callable[[], bool], what: str, timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}"
        time.sleep(0.1)


def kill(supervisor: Supervisor, name: str) -> None:
    """SIGKILL the service's main process and wait until another one is up and healthy in its place."""
    before = supervisor.states()[name].pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: supervisor.states()[name].pid not in (0, before), f"{name} is started again")


def await_healthy(shop: Site, name: str) -> None:
    wait_until(lambda: shop.service(name)["state"] == "healthy", f"{name} is healthy again")


def sign_in(shop: Site) -> dict[str, str]:
    with shop.visitor() as visitor:
        assert visitor.get("/count/").text == "1"
        return dict(visitor.cookies)


@pytest.mark.parametrize(
    "name",
    [
        "accelerator",
        "accelerator-log",
        "app-1",
        "app-2",
        "cache",
        "broker",
        "mail",
        "workers-high",
        "workers-default",
        "workers-low",
    ],
)
def test_a_killed_service_comes_back_and_no_visitor_notices(shop: Site, supervisor: Supervisor, name: str) -> None:
    cookies = sign_in(shop)
    with visiting(shop, [*ANYONES, "/notes/"]) as visits, visiting(shop, ["/count/"], visitors=1, cookies=cookies) as signed_in:
        visits.wait_for_more(50)
        kill(supervisor, name)
        await_healthy(shop, name)
        visits.wait_for_more(50)
        signed_in.wait_for_more(10)
    assert not visits.failures, visits.failures[:5]
    assert not signed_in.failures, signed_in.failures[:5]
    with shop.visitor(cookies=cookies) as visitor:
        assert int(visitor.get("/count/").text) > 10, "the session survives"


def test_the_killed_database_loses_nothing_and_is_a_clear_503_meanwhile(shop: Site, supervisor: Supervisor) -> None:
    with shop.visitor() as visitor:
        written = [f"note {number}" for number in range(20)]
        for text in written:
            assert visitor.post("/notes/", data={"text": text}).status_code == 201
    with visiting(shop, ANYONES) as visits, shop.visitor() as visitor:
        visits.wait_for_more(20)
        supervisor.stop("database")
        answer = visitor.get("/notes/")
        assert answer.status_code == 503, answer.text
        assert int(answer.headers["retry-after"]) > 0
        assert "the shop's own 503 page" in answer.text
        visits.wait_for_more(20)
        supervisor.start("database")
        await_healthy(shop, "database")
        kill(supervisor, "database")
        await_healthy(shop, "database")
        wait_until(lambda: visitor.get("/notes/").status_code == 200, "pages that read rows are back")
        assert set(written) <= set(visitor.get("/notes/").json())
    assert not visits.failures, visits.failures[:5]


def test_without_app_servers_shared_pages_go_on_and_the_rest_is_the_sites_own_error_page(
    shop: Site, supervisor: Supervisor
) -> None:
    with shop.visitor() as visitor:
        assert visitor.get("/page/").status_code == 200
        supervisor.stop("app-1")
        assert visitor.get("/private/").status_code == 200, "one app server carries on"
        supervisor.stop("app-2")
        time_out_of_date = visitor.get("/page/")
        assert time_out_of_date.status_code == 200 and "a shared page" in time_out_of_date.text
        wait_until(lambda: int(visitor.get("/page/").headers["age"]) > 1, "the copy is older than its lifetime and still served")
        for path, options in (("/private/", {}), ("/count/", {"cookies": {"sessionid": "x"}})):
            answer = httpx.get(shop.addresses["site"].rstrip("/") + path, verify=False, **options)
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
            assert "the shop's own 503 page" in answer.text


def test_without_the_accelerator_the_edge_goes_on(shop: Site, supervisor: Supervisor) -> None:
    with visiting(shop, [*ANYONES, "/notes/"]) as visits:
        visits.wait_for_more(30)
        supervisor.stop("accelerator")
        visits.wait_for_more(100)
        supervisor.start("accelerator")
        await_healthy(shop, "accelerator")
        visits.wait_for_more(30)
    assert not visits.failures, visits.failures[:5]


def test_work_enqueued_while_workers_and_broker_die_is_delivered_later(shop: Site, supervisor: Supervisor) -> None:
    for name in ("workers-high", "workers-default", "workers-low"):
        supervisor.stop(name)
    with shop.visitor() as visitor:
        for number in range(5):
            assert visitor.post(f"/enqueue/?text=before-{number}").status_code == 202
        wait_for_the_log_on_disk(shop)
        os.kill(supervisor.states()["broker"].pid, signal.SIGKILL)
        assert visitor.post("/enqueue/?text=meanwhile").status_code == 202, "a task sent while the broker restarts waits for it"
        await_healthy(shop, "broker")
        for name in ("workers-high", "workers-default", "workers-low"):
            supervisor.start(name)
        wanted = {f"before-{number}" for number in range(5)} | {"meanwhile"}
        wait_until(lambda: wanted <= set(visitor.get("/notes/").json()), "all tasks are done")


def wait_for_the_log_on_disk(shop: Site) -> None:
    """The broker's log goes to disk every second: what came before is safe once a later fsync is over."""
    overlay = json.loads((shop.state / "rendered" / "application" / "overlay.json").read_text())
    with redis.Redis.from_url(overlay["broker"]["url"]) as client:
        begun = client.time()[0]
        wait_until(lambda: client.time()[0] >= begun + 2, "two seconds of the broker's clock", 10)


def test_ten_reloads_under_load_lose_no_request(shop: Site) -> None:
    views = shop.folder / "mysite" / "views.py"
    with visiting(shop, [*ANYONES, "/notes/", "/slow/?s=0.2"], visitors=4) as visits:
        for number in range(2, 12):
            views.write_text(views.read_text().replace(f'VERSION = "{number - 1}"', f'VERSION = "{number}"'))
            visits.wait_for_more(20)
            shop.slipstream("reload")
        visits.wait_for_more(20)
    assert not visits.failures, visits.failures[:5]
    with shop.visitor() as visitor:
        for _ in range(8):
            assert "version 11" in visitor.get("/private/").text, "every process runs the new code"


def test_a_failing_migration_leaves_the_running_site_alone(shop: Site) -> None:
    migrations = shop.folder / "mysite" / "migrations"
    broken = migrations / "0002_broken.py"
    broken.write_text(
        "from django.db import migrations\n\nclass Migration(migrations.Migration):\n"
        "    dependencies = [('mysite', '0001_initial')]\n"
        "    operations = [migrations.RunSQL('select this_column_is_missing from mysite_note')]\n"
    )
    before = {row["service"]: row["pid"] for row in shop.status()["services"]}
    with visiting(shop, [*ANYONES, "/notes/"]) as visits:
        said = shop.complaint("reload")
        visits.wait_for_more(20)
    assert "this_column_is_missing" in said and "a migration failed" in said
    assert {row["service"]: row["pid"] for row in shop.status()["services"]} == before
    assert not visits.failures
    broken.unlink()
    shop.slipstream("reload")


def test_broken_settings_at_reload_leave_the_running_site_alone(shop: Site) -> None:
    settings = shop.folder / "mysite" / "settings.py"
    good = settings.read_text()
    settings.write_text(good + "\nraise ValueError('half a thought')\n")
    assert "half a thought" in shop.complaint("reload")
    with shop.visitor() as visitor:
        assert visitor.get("/private/").status_code == 200
    settings.write_text(good)
    shop.slipstream("reload")


def test_a_second_up_is_refused_and_a_crashed_one_is_cleaned_up(shop: Site, supervisor: Supervisor) -> None:
    assert "already running" in shop.complaint("up", "--detach")
    pids = {name: state.pid for name, state in supervisor.states().items() if state.pid}
    assert supervisor.pid
    os.kill(supervisor.pid, signal.SIGKILL)
    wait_until(lambda: Supervisor(State(shop.state, shop.state / "run")).pid is None, "the process manager is gone")
    assert any(psutil.pid_exists(pid) for pid in pids.values()), "its services are orphans now"
    up = shop.slipstream("up", "--detach")
    assert "Ended what a crash had left running" in up.stderr
    now = {row["service"]: row["pid"] for row in shop.status()["services"]}
    assert not set(now.values()) & set(pids.values())
    assert {row["state"] for row in shop.status()["services"]} == {"healthy"}
