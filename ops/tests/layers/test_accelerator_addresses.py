"""What Varnish does with an address: one form of each, redirects, missing pages, purging, the bypass parameter."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from origin import Answer, Front, running_front

SHARED = {"Cache-Control": "max-age=60"}
PAGES = {404: '<h1>Our own 404 {"x"} "}</h1>', 503: "<h1>Our own 503</h1>"}
CONFIG = {
    "site": {
        "names": ["www.example.org", "example.org", "*.example.org"],
        "missing": ["/wp-admin", "/old.d/"],
        "redirects": {"/old/": "/new/", "/away": "https://elsewhere.example/?x=1"},
    },
}


@pytest.fixture(scope="module")
def front() -> Iterator[Front]:
    with running_front(CONFIG, pages=PAGES) as front:
        yield front


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/p?b=2&a=1", "/p?a=1&b=2"),
        ("/p?utm_source=x&a=1", "/p?a=1"),
        ("/p?a=1&utm_source=x&utm_medium=y&gclid=z", "/p?a=1"),
        ("/p?utm_source=x", "/p"),
        ("/p?gclid", "/p"),
        ("/p?", "/p"),
        ("/p?a=1&", "/p?a=1"),
        ("/p?gclidx=1", "/p?gclidx=1"),
        ("/p?xutm_a=1", "/p?xutm_a=1"),
        ("/p?a=utm_b=1", "/p?a=utm_b=1"),
        ("/p?q=a+b&n=%C3%A9&m=", "/p?m=&n=%C3%A9&q=a+b"),
        ("/p?tag=b&tag=a&x=1&a=0", "/p?tag=b&tag=a&x=1&a=0"),
        ("/p?b&a&b", "/p?b&a&b"),
        ("/p?ab=1&a=2", "/p?a=2&ab=1"),
        ("/P/%7Euser?A=1", "/P/%7Euser?A=1"),
    ],
)
def test_one_page_has_one_address(front: Front, sent: str, arrives: str) -> None:
    front.says()
    front.get(sent)
    assert front.last.url == arrives


def test_addresses_that_mean_the_same_share_a_copy(front: Front) -> None:
    front.says(SHARED)
    assert front.how("/same?b=2&a=1&utm_source=mail") == "miss"
    assert front.how("/same?a=1&b=2&fbclid=77") == "hit"
    assert front.how("/same?a=2&b=1") == "miss"


@pytest.mark.parametrize("query", ["a&" * 511, "&".join(f"n{i}={i}" for i in range(180)), "x" * 12000, "=&" * 500, "a=b&" * 250])
def test_no_query_is_too_odd(front: Front, query: str) -> None:
    front.says()
    assert front.get("/odd?" + query).status_code == 200


# Redirects and missing pages -----------------------------------------------------------------------------------------------


def test_redirects_are_answered_here_for_a_year(front: Front) -> None:
    front.says()
    answer = front.get("/old/?page=2")
    assert (answer.status_code, answer.headers["Location"]) == (301, "/new/?page=2")
    assert "max-age=31536000" in answer.headers["Cache-Control"]
    assert front.get("/away?y=2").headers["Location"] == "https://elsewhere.example/?x=1"
    assert front.get("/old/deeper").status_code == 200
    assert [seen.path for seen in front.seen] == ["/old/deeper"]


def test_missing_addresses_are_answered_here_with_the_sites_page(front: Front) -> None:
    front.says()
    for path in ("/wp-admin", "/wp-admin/setup.php?x=1", "/old.d/x"):
        answer = front.get(path)
        assert (answer.status_code, answer.text) == (404, PAGES[404])
    assert not front.seen
    assert front.get("/oldxd/").status_code == 200


def test_other_names_are_served_unless_told_otherwise(front: Front) -> None:
    front.says()
    assert front.get("/", {"Host": "example.org"}).status_code == 200


def test_other_names_can_be_sent_to_the_canonical_one() -> None:
    config = {"site": {"names": ["www.example.org", "example.org"], "redirect_to_canonical": True}}
    with running_front(config) as front:
        front.says()
        port = front.https
        answer = front.get("/a?b=1", {"Host": f"example.org:{port}"})
        assert (answer.status_code, answer.headers["Location"]) == (301, f"https://www.example.org:{port}/a?b=1")
        assert front.get("/a", {"Host": "EXAMPLE.org"}).headers["Location"] == "https://www.example.org/a"
        assert front.get("/a", {"Host": "wwwxexample.org"}).status_code == 301
        assert front.get("/a", {"Host": f"WWW.example.org:{port}"}).status_code == 200


# Host ------------------------------------------------------------------------------------------------------------------------


def test_copies_are_kept_by_the_host_that_the_application_saw(front: Front) -> None:
    front.script(lambda seen: Answer(200, SHARED, f"https://{seen.header('Host')}/"))
    port = front.https
    own = f"https://www.example.org:{port}/"
    assert front.get("/host", {"Host": f"www.example.org:{port}"}).text == own
    for host in (f"WWW.Example.ORG:{port}", f"www.example.org.:{port}", "www.example.org:666", "www.example.org:80"):
        answer = front.get("/host", {"Host": host})
        assert (answer.headers["X-Cache"], answer.text) == ("hit", own), host
    assert front.get("/host", {"Host": "www.example.org"}).text == "https://www.example.org/"
    assert front.get("/host", {"Host": "www.example.org:443"}).text == "https://www.example.org/"
    assert front.get("/host", {"Host": "evil.example"}).text == "https://evil.example/"
    assert front.get("/host", {"Host": f"www.example.org:{port}", "X-Forwarded-Host": "evil.example"}).text == own


@pytest.mark.parametrize("host", ["a/b", "a b", "", "a@b", "a?b", "<script>", "[::1", "a,b", "-"])
def test_a_host_that_is_none_is_refused(front: Front, host: str) -> None:
    front.says()
    answer = front.raw(f"GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400"), answer
    assert not front.seen


# Purging ---------------------------------------------------------------------------------------------------------------------


def direct(front: Front) -> str:
    return f"http://127.0.0.1:{front.stack.endpoint('accelerator').port}"


def test_purges_a_page_for_listed_addresses(front: Front) -> None:
    front.says(SHARED)
    host = {"Host": f"www.example.org:{front.https}"}
    assert [front.how("/purged?a=1&b=2", host), front.how("/purged?a=1&b=2", host)] == ["miss", "hit"]
    answer = front.get("/purged?b=2&a=1", host, method="PURGE")
    assert (answer.status_code, answer.text) == (200, "Purged\n")
    assert front.how("/purged?a=1&b=2", host) == "miss"
    assert all(seen.method == "GET" for seen in front.seen)


def test_purges_directly_and_whatever_the_port_in_the_name(front: Front) -> None:
    front.says(SHARED)
    with_port, without = {"Host": f"www.example.org:{front.https}"}, {"Host": "www.example.org"}
    for name in (with_port, without):
        front.how("/both", with_port), front.how("/both", without)
        assert [front.how("/both", with_port), front.how("/both", without)] == ["hit", "hit"]
        assert front.client.request("PURGE", direct(front) + "/both", headers=name).status_code == 200
        assert [front.how("/both", with_port), front.how("/both", without)] == ["miss", "miss"]


def test_nobody_else_purges_whatever_headers_say() -> None:
    with running_front({"accelerator": {"purgers": ["10.1.0.0/16", "2001:db8::/32"]}}) as front:
        front.says(SHARED)
        front.get("/kept")
        for name in ("X-Forwarded-For", "X_Forwarded_For", "X-Real-IP", "Forwarded", "X-Client-IP", "X-Slipstream-Purge"):
            value = "for=10.1.2.3" if name == "Forwarded" else "10.1.2.3"
            assert front.get("/kept", {name: value}, method="PURGE").status_code == 405
            assert front.client.request("PURGE", direct(front) + "/kept", headers={name: value}).status_code == 405
        assert front.how("/kept") == "hit"


def test_the_address_that_may_purge_is_the_visitors_not_the_proxys() -> None:
    config = {"accelerator": {"purgers": ["10.1.0.0/16"]}, "edge": {"trusted_proxies": ["127.0.0.1"]}}
    with running_front(config) as front:
        front.says(SHARED)
        front.get("/kept")
        assert front.get("/kept", {"X-Forwarded-For": "10.1.2.3, 192.0.2.1"}, method="PURGE").status_code == 405
        assert front.get("/kept", {"X-Forwarded-For": "192.0.2.1, 10.1.2.3"}, method="PURGE").status_code == 200


# Bypass ----------------------------------------------------------------------------------------------------------------------


def test_the_bypass_secret_builds_the_page_anew(front: Front) -> None:
    front.says(SHARED)
    front.get("/bypassed?a=1")
    answer = front.get("/bypassed?slipstream-bypass=bypass-secret&a=1")
    assert answer.headers["X-Cache"] == "pass" and answer.headers["Cache-Control"] == "private, no-store"
    asked = next(seen for seen in front.seen if seen.header("X-Slipstream-Bypass"))
    assert (asked.url, asked.header("X-Slipstream-Bypass")) == ("/bypassed?a=1", "1")
    assert front.how("/bypassed?a=1") == "hit"


@pytest.mark.parametrize("value", ["wrong", "", "bypass-secre", "bypass-secret2", "BYPASS-SECRET"])
def test_a_wrong_bypass_secret_changes_nothing(front: Front, value: str) -> None:
    front.says(SHARED)
    page = f"/unbypassed-{len(value)}"
    assert front.how(f"{page}?slipstream-bypass={value}") == "miss"
    assert front.how(f"{page}?slipstream-bypass=another") == "hit"
    assert front.last.url == page and front.last.header("X-Slipstream-Bypass") is None


def test_the_bypass_header_from_outside_means_nothing(front: Front) -> None:
    front.says(SHARED)
    for number, name in enumerate(("X-Slipstream-Bypass", "x-slipstream-bypass", "X_Slipstream_Bypass", "X-Slipstream_Bypass")):
        front.get(f"/header-{number}", {name: "1"})
        assert front.how(f"/header-{number}", {name: "1"}) == "hit"
    for seen in front.seen:
        assert not [name for name, _ in seen.headers if "bypass" in name.lower()]
    front.client.get(direct(front) + "/header-direct", headers={"X-Slipstream-Bypass": "1"})
    assert front.seen[-1].header("X-Slipstream-Bypass") is None


def test_the_bypass_secret_reaches_no_log_and_no_application(front: Front) -> None:
    front.says(SHARED)
    url = "/logged?x=1&slipstream-bypass=bypass-secret"
    answer = front.get(url, {"Referer": f"https://localhost{url}"})
    (edge,) = front.entries("edge", "edge", answer.headers["X-Request-ID"])
    (accelerator,) = front.entries("accelerator-log", "accelerator", answer.headers["X-Request-ID"])
    assert edge["url"] == "/logged?x=1&slipstream-bypass=*"
    assert (accelerator["url"], accelerator["cache"]) == ("/logged?x=1", "pass")
    for service in ("edge", "accelerator", "accelerator-log"):
        assert "bypass-secret" not in front.log(service)
    assert "bypass-secret" not in repr(front.last)
