"""What Varnish shares and with whom: the application's Cache-Control, cookies, credentials and Vary decide."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
from origin import Answer, Front, Seen, running_front, wait_until

SHARED = {"Cache-Control": "max-age=60"}
PERSONAL = {"Cache-Control": "max-age=60", "Vary": "Cookie"}


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with running_front() as front:
        yield front


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("max-age", {"Cache-Control": "max-age=60"}),
        ("s-maxage", {"Cache-Control": "s-maxage=60, max-age=0"}),
        ("public", {"Cache-Control": "public, max-age=60"}),
        ("expires", {"Expires": "Thu, 31 Dec 2037 23:55:55 GMT"}),
        ("must-revalidate", {"Cache-Control": "max-age=60, must-revalidate"}),
        ("vary-encoding", {"Cache-Control": "max-age=60", "Vary": "Accept-Encoding"}),
        ("vary-cookie", {"Cache-Control": "max-age=60", "Vary": "Cookie, Accept-Encoding"}),
    ],
)
def test_shares_what_the_application_allows(front: Front, name: str, headers: dict[str, str]) -> None:
    front.says(headers)
    first, second = front.get(f"/allowed/{name}"), front.get(f"/allowed/{name}")
    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("miss", "hit")
    assert first.text == second.text
    assert int(second.headers["Age"]) >= 0
    assert len(front.seen) == 1


@pytest.mark.parametrize(
    ("name", "headers"),
    [
        ("nothing", {}),
        ("no-store", {"Cache-Control": "no-store, max-age=60"}),
        ("no-cache", {"Cache-Control": "no-cache, max-age=60"}),
        ("private", {"Cache-Control": "Private, max-age=60"}),
        ("private-s-maxage", {"Cache-Control": "private, s-maxage=60"}),
        ("zero", {"Cache-Control": "max-age=0"}),
        ("s-maxage-zero", {"Cache-Control": "s-maxage=0, max-age=60"}),
        ("past", {"Expires": "Thu, 01 Jan 1998 00:00:00 GMT"}),
        ("set-cookie", {"Cache-Control": "public, max-age=60", "Set-Cookie": "sessionid=abc"}),
        ("vary-star", {"Cache-Control": "max-age=60", "Vary": "*"}),
        ("vary-agent", {"Cache-Control": "max-age=60", "Vary": "User-Agent"}),
        ("vary-unknown", {"Cache-Control": "max-age=60", "Vary": "Accept-Encoding, X-Forwarded-For"}),
        ("surrogate", {"Cache-Control": "max-age=60", "Surrogate-Control": "no-store"}),
    ],
)
def test_never_shares_anything_else(front: Front, name: str, headers: dict[str, str]) -> None:
    front.says(headers)
    answers = [front.get(f"/forbidden/{name}") for _ in range(3)]
    assert [answer.headers["X-Cache"] for answer in answers] == ["miss"] * 3
    assert len({answer.text for answer in answers}) == 3


def test_two_cache_control_headers_count_together(front: Front) -> None:
    front.says([("Cache-Control", "max-age=60"), ("Cache-Control", "private")])
    assert [front.how("/two-headers"), front.how("/two-headers")] == ["miss", "miss"]


@pytest.mark.parametrize("status", [404, 410, 301, 200])
def test_shares_other_statuses_that_the_application_allows(front: Front, status: int) -> None:
    front.says({**SHARED, "Location": "/x"}, status=status)
    assert [front.how(f"/status/{status}"), front.how(f"/status/{status}")] == ["miss", "hit"]


@pytest.mark.parametrize("status", [401, 403, 500, 503])
def test_does_not_share_refusals_and_errors(front: Front, status: int) -> None:
    front.says(SHARED, status=status)
    assert [front.how(f"/refusal/{status}"), front.how(f"/refusal/{status}")] == ["miss", "miss"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"])
def test_other_methods_pass(front: Front, method: str) -> None:
    front.says(SHARED)
    assert front.how("/method", method=method) == "pass"
    assert front.last.method == method


def test_a_post_carries_its_body(front: Front) -> None:
    front.says()
    front.get("/post", method="POST", content=b"x" * 300_000)
    assert len(front.last.body) == 300_000


def test_head_is_answered_from_the_copy(front: Front) -> None:
    front.says(SHARED)
    front.get("/head")
    answer = front.get("/head", method="HEAD")
    assert answer.headers["X-Cache"] == "hit" and not answer.content


def test_a_body_on_a_get_does_not_reach_the_application(front: Front) -> None:
    front.says(SHARED)
    front.get("/fat", content=b"q=evil")
    assert front.last.body == b"" and front.last.header("Content-Length") is None


def test_conditional_and_range_requests_are_answered_from_the_copy(front: Front) -> None:
    front.says({**SHARED, "ETag": '"v1"', "Content-Type": "image/png"}, body="0123456789")
    front.get("/picture")
    assert front.get("/picture", {"If-None-Match": '"v1"'}).status_code == 304
    part = front.get("/picture", {"Range": "bytes=2-4"})
    assert (part.status_code, part.text) == (206, "234")
    assert len(front.seen) == 1


def test_requests_for_one_page_at_once_become_one(front: Front) -> None:
    def slowly(seen: Seen) -> Answer:
        time.sleep(0.5)
        return Answer(200, SHARED, "slow")

    front.script(slowly)
    answers: list[str] = []
    threads = [threading.Thread(target=lambda: answers.append(front.get("/slow").text)) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == ["slow"] * 12
    assert len(front.seen) == 1


# Cookies -----------------------------------------------------------------------------------------------------------------


def by_cookie(seen: Seen) -> Answer:
    """A page of Django with a session: personal for who has one."""
    return Answer(200, PERSONAL, f"for {seen.header('Cookie') or 'anybody'}")


def test_ignored_cookies_do_not_matter_and_do_not_arrive(front: Front) -> None:
    front.script(by_cookie)
    answer = front.get("/ignored", {"Cookie": "_ga=GA1.2.3; _ga_ABC=x; __utma=1; _gid=2; cookieconsent_status=ok"})
    assert answer.text == "for anybody"
    assert front.last.header("Cookie") is None
    assert front.how("/ignored") == "hit"
    assert front.how("/ignored", {"Cookie": "_fbp=1"}) == "hit"


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("sessionid=abc; _ga=1", "sessionid=abc"),
        ("_ga=1; sessionid=abc", "sessionid=abc"),
        ("a=1; _ga=1; b=2; _gid=3; c=4", "a=1; b=2; c=4"),
        ("x_ga=1", "x_ga=1"),
        ("a=_ga=1", "a=_ga=1"),
        ("_gab=1", "_gab=1"),
    ],
)
def test_other_cookies_arrive_as_they_were(front: Front, sent: str, arrives: str) -> None:
    front.script(by_cookie)
    front.get("/kept", {"Cookie": sent})
    assert front.last.header("Cookie") == arrives


def test_a_signed_in_visitor_goes_past_the_anonymous_copy(front: Front) -> None:
    front.script(by_cookie)
    assert front.how("/personal") == "miss"
    mine = front.get("/personal", {"Cookie": "sessionid=me"})
    assert (mine.headers["X-Cache"], mine.text) == ("pass", "for sessionid=me")
    again = front.get("/personal")
    assert (again.headers["X-Cache"], again.text) == ("hit", "for anybody")
    assert "Cookie" in again.headers["Vary"]


def test_what_a_signed_in_visitor_saw_first_is_nobody_elses(front: Front) -> None:
    front.script(by_cookie)
    assert front.get("/mine", {"Cookie": "sessionid=me"}).text == "for sessionid=me"
    assert front.get("/mine", {"Cookie": "sessionid=you"}).text == "for sessionid=you"
    assert front.get("/mine").text == "for anybody"
    assert front.how("/mine") == "hit"
    assert front.get("/mine", {"Cookie": "sessionid=me"}).text == "for sessionid=me"


def test_a_signed_in_visitor_shares_pages_that_do_not_depend_on_cookies(front: Front) -> None:
    front.says(SHARED)
    assert front.how("/common", {"Cookie": "sessionid=me"}) == "miss"
    assert front.how("/common", {"Cookie": "sessionid=you"}) == "hit"
    assert front.how("/common") == "hit"


def test_a_second_cookie_header_hides_nothing(front: Front) -> None:
    front.script(by_cookie)
    answer = front.raw(
        f"GET /hidden HTTP/1.1\r\nHost: localhost:{front.https}\r\nCookie: _ga=1\r\nCookie: sessionid=me\r\n"
        "Connection: close\r\n\r\n"
    )
    assert b"sessionid=me" in answer
    assert front.get("/hidden").text == "for anybody"


def test_a_page_that_begins_a_session_is_not_shared(front: Front) -> None:
    front.script(lambda seen: Answer(200, {**PERSONAL, "Set-Cookie": f"csrftoken={len(front.seen)}"}))
    cookies = {front.get("/form").headers["Set-Cookie"] for _ in range(3)}
    assert len(cookies) == 3


def test_anonymous_visitors_do_not_wait_behind_signed_in_ones(front: Front) -> None:
    """While personal pages of an address are being built, an anonymous visit is not held up time and again."""
    is_over = threading.Event()

    def answer(seen: Seen) -> Answer:
        if seen.header("Cookie"):
            time.sleep(0.4)
        return by_cookie(seen)

    front.script(answer)
    front.get("/busy", {"Cookie": "sessionid=0"})

    def visit(number: int) -> None:
        while not is_over.is_set():
            front.get("/busy", {"Cookie": f"sessionid={number}"})

    threads = [threading.Thread(target=visit, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert front.get("/busy").text == "for anybody"
    finally:
        is_over.set()
        for thread in threads:
            thread.join()


def test_a_copy_that_was_confirmed_still_depends_on_cookies(front: Front) -> None:
    """The 304 that confirms an old copy need not repeat its Vary."""

    def confirm(seen: Seen) -> Answer:
        if seen.header("If-None-Match"):
            return Answer(304, {"ETag": '"v1"', "Cache-Control": "max-age=60"})
        page = by_cookie(seen)
        return Answer(200, {**PERSONAL, "Cache-Control": "max-age=1", "ETag": '"v1"'}, page.body)

    front.script(confirm)
    front.get("/confirmed")
    time.sleep(1.1)
    front.get("/confirmed")
    wait_until(lambda: len(front.seen) == 2, "the refresh behind the old copy")
    wait_until(lambda: int(front.get("/confirmed").headers["Age"]) == 0, "the confirmed copy")
    answer = front.get("/confirmed")
    assert (answer.headers["X-Cache"], answer.text, answer.headers["Vary"]) == ("hit", "for anybody", "Cookie")
    assert front.get("/confirmed", {"Cookie": "sessionid=me"}).text == "for sessionid=me"


# Credentials and variants ------------------------------------------------------------------------------------------------


def by_credentials(seen: Seen) -> Answer:
    return Answer(200, SHARED, f"for {seen.header('Authorization') or 'anybody'}")


def test_credentials_go_past_the_shared_copy(front: Front) -> None:
    front.script(by_credentials)
    assert front.get("/api", {"Authorization": "Token me"}).text == "for Token me"
    assert front.get("/api").text == "for anybody"
    assert front.how("/api") == "hit"
    mine = front.get("/api", {"Authorization": "Token me"})
    assert (mine.headers["X-Cache"], mine.text) == ("pass", "for Token me")


def test_what_is_declared_public_is_shared_with_credentials_too(front: Front) -> None:
    front.says({"Cache-Control": "public, max-age=60"})
    assert front.how("/public", {"Authorization": "Token me"}) == "miss"
    assert front.how("/public", {"Authorization": "Token you"}) == "hit"


def test_languages_are_kept_apart(front: Front) -> None:
    front.script(lambda seen: Answer(200, {**SHARED, "Vary": "Accept-Language, Cookie"}, f"in {seen.header('Accept-Language')}"))
    assert front.get("/hello", {"Accept-Language": "de-CH, de;q=0.9"}).text == "in de-ch,de;q=0.9"
    assert front.get("/hello", {"Accept-Language": "en"}).text == "in en"
    again = front.get("/hello", {"Accept-Language": "de-ch,DE;q=0.9"})
    assert (again.headers["X-Cache"], again.text) == ("hit", "in de-ch,de;q=0.9")
    front.script(lambda seen: Answer(200, SHARED, str(seen.header("Accept-Language"))))
    assert front.get("/nonsense", {"Accept-Language": "<x>" * 90}).text == "None"


def test_text_is_compressed_once_and_read_by_everybody(front: Front) -> None:
    front.says({**SHARED, "Content-Type": "text/html"}, body="long " * 1000)
    packed = front.get("/text", {"Accept-Encoding": "gzip, br"})
    assert packed.headers["Content-Encoding"] == "gzip" and packed.text == "long " * 1000
    plain = front.get("/text", {"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers and plain.text == "long " * 1000
    assert len(front.seen) == 1


def test_large_answers_pass_through_with_ranges(front: Front) -> None:
    front.script(lambda seen: Answer(200, SHARED, seen.header("Range") or "x" * 60_000_000))
    assert len(front.get("/film").content) == 60_000_000
    answer = front.get("/film", {"Range": "bytes=0-10"})
    assert (answer.headers["X-Cache"], answer.text) == ("pass", "bytes=0-10")


def test_observing_shares_nothing() -> None:
    with running_front({"site": {"mode": "observe"}}) as front:
        front.says(SHARED)
        assert [front.how("/"), front.how("/")] == ["pass", "pass"]
