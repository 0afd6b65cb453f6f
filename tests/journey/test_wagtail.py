"""A fresh `wagtail start`, unedited."""

from __future__ import annotations

import subprocess
from pathlib import Path

from sites import Site, digest_of, make_environment, running


def test_a_fresh_wagtail_site_runs_unedited(projects: Path) -> None:
    python = make_environment(projects / "wagtail-environment", "wagtail>=7", "Django>=5.2,<5.3")
    folder = projects / "wagtail"
    folder.mkdir()
    subprocess.run([python.parent / "wagtail", "start", "mysite", folder], check=True, capture_output=True)
    before = digest_of(folder)
    with running(Site(folder, python)) as site:
        with site.visitor() as visitor:
            front = visitor.get("/")
            assert front.status_code == 200
            assert "Welcome to your new Wagtail site" in front.text
            login = visitor.get("/admin/login/")
            assert login.status_code == 200
            assert "Sign in" in login.text
            style = next(
                part.split('"')[0] for part in login.text.split('href="') if part.startswith("/static/") and ".css" in part
            )
            assert visitor.get(style.replace("&amp;", "&")).status_code == 200
        assert {row["state"] for row in site.status()["services"]} == {"healthy"}
        after = digest_of(folder)
    assert {name: after[name] for name in before} == before
