"""The gazette, unedited, on the whole stack: its pages, its mail, its pictures, and every verb that reports on it."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from sites import Site

SERVICES = {
    "database", "cache", "broker", "mail", "app-1", "app-2", "workers-high", "workers-default", "workers-low",
    "accelerator", "accelerator-log", "edge",
}  # fmt: skip


def wait_until(is_true: Callable[[], bool], what: str, timeout_seconds: float = 60) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        assert time.monotonic() < deadline, f"not within {timeout_seconds} s: {what}"
        time.sleep(0.1)


def caught_mails(site: Site) -> list[email.message.EmailMessage]:
    paths = sorted((site.state / "data" / "mail").glob("*.eml"))
    return [email.message_from_bytes(path.read_bytes(), policy=email.policy.default) for path in paths]  # type: ignore[misc]


def token_in(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found, "the page has no form with a CSRF token"
    return found[1]


def post_form(visitor: httpx.Client, path: str, fields: dict[str, str]) -> httpx.Response:
    """Fill in the form on ``path`` as a browser does: its token, and its address as the referrer."""
    page = visitor.get(path)
    address = str(visitor.base_url).rstrip("/") + path
    return visitor.post(
        path, data={**fields, "csrfmiddlewaretoken": token_in(page.text)}, headers={"Referer": address}, follow_redirects=True
    )


def test_every_service_is_healthy(gazette: Site) -> None:
    rows = {row["service"]: row for row in gazette.status()["services"]}
    assert set(rows) == SERVICES
    assert {row["state"] for row in rows.values()} == {"healthy"}
    table = gazette.slipstream("status").stdout
    assert all(name in table for name in SERVICES)


def test_readers_find_their_way(gazette: Site) -> None:
    with gazette.visitor() as visitor:
        front = visitor.get("/")
        assert front.status_code == 200
        links = {link for link in re.findall(r'href="(/[^"#?]*)"', front.text) if not link.startswith(("/media/", "/static/"))}
        assert len(links) > 20
        for link in sorted(links):
            answer = visitor.get(link, follow_redirects=True)
            assert answer.status_code == 200, f"{link}: {answer.status_code}"
        for link in {
            *re.findall(r'(?:href|src)="(/static/[^"]+)"', front.text),
            *re.findall(r'src="(/media/[^"]+)"', front.text),
        }:
            assert visitor.get(link).status_code == 200, link
        for path in ("/sitemap.xml", "/robots.txt"):
            assert visitor.get(path).status_code == 200
        missing = visitor.get("/surely/not/there/")
        assert missing.status_code == 404 and "<title>" in missing.text


def test_search_finds_words_of_an_article(gazette: Site) -> None:
    with gazette.visitor() as visitor:
        sitemap = visitor.get("/sitemap.xml", follow_redirects=True).text
        assert "<loc>https://localhost" in sitemap
        front = visitor.get("/").text
        headline = re.sub(r"<[^>]+>", "", re.findall(r"<h[123][^>]*>(.*?)</h[123]>", front, re.DOTALL)[1]).strip()
        word = max(re.findall(r"[a-z]{4,}", headline.lower()), key=len)
        assert word in visitor.get("/search/", params={"q": word}).text.lower()


def test_a_sign_up_is_mailed_by_a_worker_into_the_sink(gazette: Site) -> None:
    before = len(caught_mails(gazette))
    with gazette.visitor() as visitor:
        answer = post_form(visitor, "/newsletter/", {"email": "reader@example.org"})
        assert answer.status_code == 200
    wait_until(lambda: len(caught_mails(gazette)) > before, "the confirmation is caught")
    mail = caught_mails(gazette)[-1]
    assert mail["To"] == "reader@example.org"
    body = mail.get_body(("plain",))
    assert body and "https://localhost:" in body.get_content()


def test_members_register_comment_and_save(gazette: Site) -> None:
    with gazette.visitor(follow_redirects=True) as visitor:
        name, password = "rosalind", "a long enough Phrase 17"
        fields = {
            "display_name": name.title(),
            "username": name,
            "email": "rosalind@example.org",
            "password1": password,
            "password2": password,
        }
        assert post_form(visitor, "/account/register/", fields).status_code == 200
        story = re.findall(r'href="(/story/(\d+)/[^"]+/)"', visitor.get("/").text)[0]
        page = visitor.get(story[0])
        token, referrer = token_in(page.text), {"Referer": str(page.url)}
        text = "A remark that nobody made before."
        commented = visitor.post(f"/comments/{story[1]}/", data={"body": text, "csrfmiddlewaretoken": token}, headers=referrer)
        assert commented.status_code == 200 and text in commented.text
        saved = visitor.post(f"/account/saved/{story[1]}/", data={"csrfmiddlewaretoken": token}, headers=referrer)
        assert saved.status_code == 200
        assert story[0] in visitor.get("/account/saved/").text
    with gazette.visitor() as stranger:
        assert text in stranger.get(story[0]).text
        assert stranger.get("/account/saved/").status_code == 302


def test_the_session_is_shared_by_both_app_servers(gazette: Site) -> None:
    with gazette.visitor(follow_redirects=True) as visitor:
        name, password = "augusta", "a long enough Phrase 18"
        fields = {
            "display_name": name.title(),
            "username": name,
            "email": "augusta@example.org",
            "password1": password,
            "password2": password,
        }
        post_form(visitor, "/account/register/", fields)
        cookies = dict(visitor.cookies)
        assert "sessionid" in cookies
        for number in (1, 2):
            direct = httpx.get(gazette.addresses[f"app server {number} directly"], cookies=cookies, headers={"Host": "localhost"})
            assert direct.status_code == 200
            assert "Augusta" in direct.text, "every server answers directly, and knows the visitor"


def test_one_id_goes_through_all_layers(gazette: Site) -> None:
    with gazette.visitor() as visitor:
        answer = visitor.get("/?one-id=1", headers={"X-Request-ID": "chosen-by-a-visitor"})
    request_id = answer.headers["x-request-id"]
    assert request_id != "chosen-by-a-visitor"

    def layers() -> set[str]:
        found = gazette.slipstream("logs", "--request", request_id, "--json", check=False).stdout.splitlines()
        return {json.loads(line)["service"] for line in found}

    wait_until(
        lambda: {"edge", "accelerator-log"} <= layers() and layers() & {"app-1", "app-2"} != set(),
        "the id is in every layer's log",
        20,
    )


def test_logs_by_service_and_unknown_ones(gazette: Site) -> None:
    assert "app-1 |" in gazette.slipstream("logs", "app-1", "-n", "5").stdout
    assert 'Did you mean "app-1"?' in gazette.complaint("logs", "app1")
    assert "no kept log mentions it" in gazette.complaint("logs", "--request", "0123456789abcdef-no-such")


def test_config_explains_itself(gazette: Site) -> None:
    sizing = json.loads(gazette.slipstream("config", "sizing", "--json").stdout)
    numbers = {(n["layer"], n["name"]): n for n in sizing["numbers"]}
    assert ("database", "shared_buffers") in numbers
    assert all(n["formula"] and n["reason"] for n in sizing["numbers"])
    settings = json.loads(gazette.slipstream("config", "settings", "--json").stdout)["changes"]
    names = {change["name"] for change in settings}
    assert {"DATABASES", "CACHES", "LOGGING", "DEBUG"} <= names
    assert all(change["why"] for change in settings)
    checked = json.loads(gazette.slipstream("config", "check", "--json").stdout)
    assert {c["layer"] for c in checked} >= {"edge", "accelerator", "appserver", "database"}
    assert all(c["fault"] is None for c in checked)
    shown = gazette.slipstream("config", "show").stdout
    assert 'server = "postgresql"' in shown
    assert "vcl 4.1" in gazette.slipstream("config", "show", "accelerator").stdout


def test_no_secret_is_ever_printed(gazette: Site) -> None:
    lines = (gazette.state / "secrets.env").read_text().splitlines()
    secrets = [line.split("=", 1)[1] for line in lines if not line.startswith("#")]
    assert len(secrets) >= 5
    printed = ""
    for arguments in (
        ("config", "show"),
        ("config", "settings"),
        ("config", "settings", "--json"),
        ("config", "diff"),
        ("status", "--json"),
        ("logs", "-n", "500"),
    ):
        done = gazette.slipstream(*arguments)
        printed += done.stdout + done.stderr
    for layer in ("edge", "accelerator", "appserver", "application", "cache", "database", "broker"):
        printed += gazette.slipstream("config", "show", layer).stdout
    for secret in secrets:
        assert secret not in printed
    for path in (gazette.state / "logs").iterdir():
        assert not [s for s in secrets if s in path.read_text(errors="replace")], f"{path.name} holds a secret"


def test_secrets_are_in_no_command_line(gazette: Site) -> None:
    import psutil

    lines = (gazette.state / "secrets.env").read_text().splitlines()
    secrets = [line.split("=", 1)[1] for line in lines if not line.startswith("#")]
    for row in gazette.status()["services"]:
        process = psutil.Process(row["pid"])
        for member in [process, *process.children(recursive=True)]:
            words = " ".join(member.cmdline())
            assert not [s for s in secrets if s in words], f"{row['service']} shows a secret in its command line"


def test_a_change_in_the_stack_file_is_shown_checked_and_reloaded(gazette: Site) -> None:
    file = gazette.folder / "slipstream.toml"
    before = file.read_text()
    try:
        file.write_text(before + '\n[site.redirects]\n"/old-page/" = "/about/"\n')
        assert "/old-page/" in gazette.slipstream("config", "diff").stdout
        with gazette.visitor() as visitor:
            assert visitor.get("/old-page/").status_code == 404
            gazette.slipstream("reload")
            moved = visitor.get("/old-page/")
            assert moved.status_code == 301 and moved.headers["location"].endswith("/about/")
        assert "Nothing would change" in gazette.slipstream("config", "diff").stdout
    finally:
        file.write_text(before)
        gazette.slipstream("reload")


def test_restart_one_service(gazette: Site) -> None:
    before = gazette.service("app-1")["pid"]
    gazette.slipstream("restart", "app-1")
    assert gazette.service("app-1")["pid"] != before
    assert 'Did you mean "app-1"?' in gazette.complaint("restart", "app1")


def test_a_bumped_cache_is_new_and_the_others_are_kept(gazette: Site) -> None:
    def shell(code: str) -> str:
        code = f"from django.core.cache import caches; {code}"
        return gazette.slipstream("manage", "shell", "--no-imports", "-c", code).stdout.split()[-1]

    shell("[caches[name].set_many({f'{name}{n}': n for n in range(50)}) for name in ('fragments', 'queries')]; print('set')")
    bumped = json.loads(gazette.slipstream("cache", "bump", "fragments", "--json").stdout)
    assert 30 <= bumped["values"] <= 100, "about fifty: counted from a sample of the keys"
    assert shell("print(caches['fragments'].get('fragments1'), caches['queries'].get('queries1'), sep=',')") == "None,1"
    assert "Did you mean fragments?" in gazette.complaint("cache", "bump", "fragment")


def test_management_commands_run_inside_the_stack(gazette: Site) -> None:
    code = "import articles.models as m; from django.db import connection; print(connection.vendor, m.Article.objects.count())"
    vendor, count = gazette.slipstream("manage", "shell", "--no-imports", "-c", code).stdout.split()[-2:]
    assert vendor == "postgresql" and int(count) >= 2000
    assert gazette.slipstream("manage", "no_such_command", check=False).returncode != 0


def test_memory_of_the_idle_stack_is_told(gazette: Site) -> None:
    assert all(row["memory_bytes"] for row in gazette.status()["services"])


def test_eject_leaves_everything_needed(gazette: Site, tmp_path: Path) -> None:
    target = tmp_path / "owned"
    gazette.slipstream("eject", str(target))
    names = {str(path.relative_to(target)) for path in target.rglob("*") if path.is_file()}
    assert {"README.md", "settings_stack.py", "units/slipstream.target"} <= names
    assert {f"units/slipstream-{name}.service" for name in SERVICES - {"mail"}} <= names
    settings = target / "settings_stack.py"
    assert settings.stat().st_mode & 0o777 == 0o600
    compile(settings.read_text(), str(settings), "exec")
    loaded = subprocess.run(
        [gazette.python, "-m", "django", "check"],
        cwd=gazette.folder,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "settings_stack",
            "PYTHONPATH": f"{target}:{target}/lent/slipstream:{gazette.folder}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert loaded.returncode == 0, loaded.stderr
    assert str(gazette.state) not in "".join(path.read_text(errors="replace") for path in target.rglob("*.service"))
    assert "there is something already" in gazette.complaint("eject", str(target))


@pytest.mark.parametrize("path", ["/desk/", "/desk/login/"])
def test_the_desk_is_where_editors_expect_it(gazette: Site, path: str) -> None:
    with gazette.visitor(follow_redirects=True) as visitor:
        assert visitor.get(path).status_code == 200
