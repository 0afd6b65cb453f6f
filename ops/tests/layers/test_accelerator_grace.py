"""When the application fails: old copies for hours, at once and without asking it twice; Varnish's own page elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
from origin import Answer, Front, running_front, wait_until

from slipstream_ops import execution
from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.accelerator import varnish
from slipstream_ops.layers.accelerator.varnish import rendering
from slipstream_ops.layers.accelerator.varnish.sizes import SHORT_GRACE_SECONDS
from slipstream_ops.layers.contract import Command

SHORT = 1  # seconds, instead of 10, so that tests need not wait as long as visitors
PAGES = {404: "<h1>Our own 404</h1>", 503: "<h1>Our own 503</h1>"}
FRESH_FOR_1_S = {"Cache-Control": "max-age=1"}


@pytest.fixture
def front(monkeypatch: pytest.MonkeyPatch) -> Iterator[Front]:
    monkeypatch.setattr(rendering, "SHORT_GRACE_SECONDS", SHORT)
    with running_front(pages=PAGES) as front:
        yield front


def age(front: Front, url: str, seconds: float) -> None:
    """Wait until the copy of ``url`` is older than ``seconds``: ages are what these tests are about."""
    front.get(url)
    time.sleep(seconds)


def test_short_grace_is_the_one_that_is_documented() -> None:
    assert SHORT_GRACE_SECONDS == 10


def test_an_old_copy_is_given_while_one_request_refreshes_it(front: Front) -> None:
    front.says(FRESH_FOR_1_S)
    age(front, "/page", 1.1)
    answer = front.get("/page")
    assert (answer.headers["X-Cache"], answer.text) == ("hit", "answer 1")
    wait_until(lambda: front.get("/page").text != "answer 1", "the refreshed page")
    wait_until(lambda: front.vitals("accelerator").grace_hits >= 1, "the counter: threads add theirs when they rest")


def test_a_copy_past_the_short_grace_is_fetched_anew_while_the_application_is_up(front: Front) -> None:
    front.says(FRESH_FOR_1_S)
    age(front, "/page", 2.3)
    answer = front.get("/page")
    assert (answer.headers["X-Cache"], answer.text) == ("miss", "answer 2")


@pytest.mark.parametrize("failure", ["dead", "500", "503"])
def test_a_failing_application_is_stood_in_for_at_once(front: Front, failure: str) -> None:
    """Before any probe has noticed: the very request that fails is answered with the old copy."""
    front.says(FRESH_FOR_1_S)
    age(front, "/page", 2.3)
    if failure == "dead":
        for app in front.apps:
            app.stop()
    else:
        front.script(lambda seen: Answer(int(failure), {}, "failed"))
    for _ in range(3):
        answer = front.get("/page")
        assert (answer.status_code, answer.headers["X-Cache"], answer.text) == (200, "hit", "answer 1")
    if failure == "500":
        assert len(front.seen) == 3, "each visit asked the application once"
    assert front.get("/other").status_code == (500 if failure == "500" else 503)


def test_a_refresh_that_fails_leaves_the_old_copy(front: Front) -> None:
    front.says(FRESH_FOR_1_S)
    age(front, "/page", 1.1)
    front.script(lambda seen: Answer(500, {}, "failed"))
    assert front.get("/page").text == "answer 1"
    wait_until(lambda: bool(front.seen), "the refresh behind the old copy")
    assert front.get("/page").text == "answer 1"


def test_serves_for_hours_while_every_app_server_is_down_and_recovers(front: Front) -> None:
    front.says(FRESH_FOR_1_S)
    age(front, "/page", 2.3)
    for app in front.apps:
        app.stop()

    def is_down() -> bool:
        return next(b for b in front.vitals("accelerator").backends if b.name == "apps").is_healthy is False

    wait_until(is_down, "the probe to notice", 40)
    answer = front.get("/page")
    assert (answer.status_code, answer.headers["X-Cache"], answer.text) == (200, "hit", "answer 1")
    missing = front.get("/never-seen")
    assert missing.status_code == 503 and missing.text == PAGES[503] and int(missing.headers["Retry-After"]) > 0
    assert front.get("/form", method="POST", content=b"a=1").status_code == 503
    for app in front.apps:
        app.start()
    # Those who have to be answered by the application are as soon as it is there, before the probe knows.
    wait_until(lambda: front.get("/never-seen").status_code == 200, "the application again")
    wait_until(lambda: front.get("/page").headers["X-Cache"] == "miss" or "answer 1" not in front.get("/page").text, "fresh", 40)


def test_a_page_that_must_be_revalidated_is_never_old(front: Front) -> None:
    front.says({"Cache-Control": "max-age=1, must-revalidate"})
    age(front, "/strict", 1.1)
    assert front.get("/strict").text == "answer 2"
    time.sleep(1.1)
    for app in front.apps:
        app.stop()
    assert front.get("/strict").status_code == 503


def test_a_signed_in_visitor_never_gets_an_old_anonymous_page(front: Front) -> None:
    front.script(lambda seen: Answer(200, {**FRESH_FOR_1_S, "Vary": "Cookie"}, f"for {seen.header('Cookie')}"))
    age(front, "/personal", 2.3)
    assert front.get("/personal", {"Cookie": "sessionid=me"}).text == "for sessionid=me"
    for app in front.apps:
        app.stop()
    assert front.get("/personal", {"Cookie": "sessionid=me"}).status_code == 503
    assert front.get("/personal").text == "for None"


def test_the_applications_own_error_page_comes_through(front: Front) -> None:
    front.script(lambda seen: Answer(500, {"Content-Type": "text/html"}, "the project's own 500"))
    answer = front.get("/broken")
    assert (answer.status_code, answer.text) == (500, "the project's own 500")
    assert len(front.seen) == 1


def test_grace_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "SHORT_GRACE_SECONDS", SHORT)
    with running_front({"accelerator": {"grace_seconds": 0}}) as front:
        front.says(FRESH_FOR_1_S)
        age(front, "/page", 1.1)
        for app in front.apps:
            app.stop()
        assert front.get("/page").status_code == 503


def test_without_the_edge_behind_it_the_accelerator_shows_the_sites_page() -> None:
    with running_front(layers=("accelerator",), pages=PAGES) as front:
        answer = front.client.get(f"http://{front.stack.endpoint('accelerator').netloc}/")
        assert (answer.status_code, answer.text) == (503, PAGES[503])
        assert answer.headers["Retry-After"] == "30"


# Reload and restart ----------------------------------------------------------------------------------------------------------


def write(front: Front, files: tuple[Any, ...]) -> None:
    for file in files:
        execution.write_file(file)


def configurations(front: Front) -> list[str]:
    admin = front.stack.endpoint("accelerator.admin").netloc
    secret = str(rendering.secret_of(front.stack))
    listing = execution.run_or_complain(Command(("varnishadm", "-T", admin, "-S", secret, "vcl.list"), "listing"))
    return [line for line in listing.output.splitlines() if line.strip() and not line.startswith("discarded")]


def test_a_reload_keeps_the_copies_and_brings_the_new_rules(front: Front) -> None:
    front.says({"Cache-Control": "max-age=600"})
    front.get("/kept")
    host = front.stack.hosts[0]
    site = front.stack.config.site.model_copy(update={"redirects": {"/old/": "/new/"}})
    changed = replace(front.stack, config=front.stack.config.model_copy(update={"site": site}))
    for stack in (changed, front.stack, changed, changed):
        write(front, varnish.render(stack, host))
        front.carry_out(varnish.reload(stack, host))
        assert front.get("/old/").status_code == (301 if stack is changed else 200)
        assert front.how("/kept") == "hit"
    assert len(configurations(front)) <= 2, "old rules are dropped"


def test_rules_with_a_mistake_leave_the_old_ones_in_force(front: Front) -> None:
    path: Path = rendering.folder_of(front.stack) / "cookies.vcl"
    path.write_text("sub vcl_recv { nonsense }")
    host = front.stack.hosts[0]
    assert not execution.run(varnish.check(front.stack, host)[0]).succeeded
    with pytest.raises(Complaint, match="reloading the accelerator's rules"):
        front.carry_out(varnish.reload(front.stack, host))
    front.says()
    assert front.get("/").status_code == 200


def test_starts_again_after_being_killed(front: Front) -> None:
    front.says({"Cache-Control": "max-age=600"})
    front.get("/page")
    process = front.processes["accelerator"]
    process.kill()
    process.wait()
    with front.restart("accelerator", "accelerator"):
        wait_until(lambda: front.server("pages", "accelerator").state == "up", "the accelerator seen again")
        assert [front.how("/page"), front.how("/page")] == ["miss", "hit"], "emptied before it returned"

        def is_logged() -> bool:
            return front.get("/page").headers["X-Request-ID"] in front.log("accelerator-log")

        wait_until(is_logged, "the log to go on")


def test_a_crash_of_the_working_process_is_survived(front: Front) -> None:
    front.says()
    (child,) = psutil.Process(front.processes["accelerator"].pid).children()
    child.kill()
    wait_until(lambda: front.get("/").headers.get("X-Cache") == "miss", "the accelerator again")
