"""Programs of the project with the lent packages behind its own and the overlay's settings in force."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]

OFFER: dict[str, Any] = {
    "hosts": ["localhost"],
    "https_port": 8443,
    "cache": {"urls": ["redis://:hunter2@127.0.0.1:1/0"]},
    "database": None,
    "mail": {"host": "127.0.0.1", "port": 8640},
    "static_root": "/nowhere/static",
}


def test_lent_packages_come_last(site: Path, tmp_path: Path, run: Run) -> None:
    lent = tmp_path / "packages"
    lent.mkdir()
    (lent / "lent_only.py").write_text("")
    (lent / "django.py").write_text("raise RuntimeError('the project has its own Django')")
    (site / "probe.py").write_text("import lent_only, django, sys\nprint(sys.path[-1], sys.argv)\n")
    done, _ = run("probe", "one", "--two", variables={"SLIPSTREAM_LENT": f"{lent}:/nowhere"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1)[0] == str(lent)
    assert "'one', '--two']" in done.stdout


def test_management_commands_see_the_overlay(run: Run) -> None:
    code = "from django.conf import settings as s; print(s.DEBUG, s.EMAIL_PORT, s.STATIC_ROOT, s.SESSION_ENGINE)"
    done, _ = run("django", "shell", "--no-imports", "-c", code, offer=OFFER)
    assert done.stdout.split() == ["False", "8640", "/nowhere/static", "django.contrib.sessions.backends.cached_db"], done.stderr


def test_the_overlay_passes_the_deployment_checks_of_django(run: Run) -> None:
    done, _ = run("django", "check", offer=OFFER)
    assert done.returncode == 0, done.stderr
    assert "slipstream." not in done.stderr  # none of the runtime's own warnings is left


def test_settings_that_are_defined_lazily_are_read(site: Path, run: Run) -> None:
    settings = site / "mysite" / "settings.py"
    settings.write_text(
        settings.read_text() + "\ndef __dir__(): return [*globals(), 'LATE']\n"
        "def __getattr__(name):\n    if name == 'LATE': return 'late'\n    raise AttributeError(name)\n"
    )
    done, _ = run("django", "shell", "--no-imports", "-c", "from django.conf import settings; print(settings.LATE)", offer=OFFER)
    assert done.stdout == "late\n", done.stderr


def test_a_broken_settings_module_surfaces_as_the_project_s_own(site: Path, run: Run) -> None:
    (site / "mysite" / "settings.py").write_text("import nothing_of_that_name\n")
    done, _ = run("django", "check", offer=OFFER)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "ModuleNotFoundError: No module named 'nothing_of_that_name'"


def test_the_overlay_alone_says_what_it_lacks(run: Run) -> None:
    done, _ = run("django", "check", variables={"DJANGO_SETTINGS_MODULE": "slipstream.overlay"})
    assert "SLIPSTREAM_SETTINGS does not name the project's settings" in done.stderr.splitlines()[-1]


def test_a_document_of_another_protocol_is_refused(run: Run) -> None:
    done, _ = run("django", "check", offer={**OFFER, "protocol": 99})
    assert "Install the same version" in done.stderr


def test_the_report_names_every_change_and_no_secret(run: Run) -> None:
    _, answer = run("slipstream.settingsreport", offer=OFFER)
    changes = {change["name"]: change for change in answer["changes"]}
    assert (changes["DEBUG"]["before"], changes["DEBUG"]["after"]) == (True, False)
    assert changes["STATIC_ROOT"]["before"] is None
    assert all(change["why"] for change in changes.values())
    assert "hunter2" not in json.dumps(answer)
    assert "redis://:********@127.0.0.1:1/0" in json.dumps(answer)
    assert changes["CACHES"]["after"]["pages"]["KEY_PREFIX"] == "pages"


def test_the_report_as_a_module_is_settings_that_work(site: Path, run: Run) -> None:
    _, answer = run("slipstream.settingsreport", "--as-module", offer=OFFER)
    (site / "mysite" / "ejected.py").write_text(answer["module"])
    assert "hunter2" in answer["module"]  # it is for the user alone, and has to work
    done, _ = run("django", "diffsettings", variables={"DJANGO_SETTINGS_MODULE": "mysite.ejected"})
    assert done.returncode == 0, done.stderr
    assert "EMAIL_PORT = 8640" in done.stdout


def test_error_pages_are_the_site_s_own(site: Path, run: Run) -> None:
    settings = site / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + "\nTEMPLATES[0]['DIRS'] = [BASE_DIR / 'templates']\n")
    templates = site / "templates"
    templates.mkdir()
    (templates / "base.html").write_text(
        "<nav>{{ user.is_authenticated }} {{ messages|length }}</nav>{% block b %}{% endblock %}"
    )
    (templates / "404.html").write_text("{% extends 'base.html' %}{% block b %}gone {{ request.get_host }}{% endblock %}")
    (templates / "500.html").write_text("{% load nothing_of_that_name %}")
    (templates / "503.html").write_text("back soon")
    done, answer = run("slipstream.errorpages", offer=OFFER)
    assert done.returncode == 0, done.stderr
    assert answer["pages"] == {"403": None, "404": "<nav>False 0</nav>gone localhost", "500": None, "503": "back soon"}
    assert list(answer["reasons"]) == ["500"]
    assert "nothing_of_that_name" in answer["reasons"]["500"]


@pytest.mark.parametrize(
    "text", ["def broken(request, exception=None): raise KeyError('database')", "broken = 'nothing.of_that_name'"]
)
def test_an_error_page_that_fails_is_told_and_the_others_go_on(site: Path, run: Run, text: str) -> None:
    urls = site / "mysite" / "urls.py"
    urls.write_text(urls.read_text() + f"\n{text}\nhandler404 = broken\n")
    done, answer = run("slipstream.errorpages", offer=OFFER)
    assert done.returncode == 0, done.stderr
    assert list(answer["reasons"]) == ["404"]
