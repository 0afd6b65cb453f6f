"""The survey of real projects: whole ones, and one broken in each way that users meet."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import venv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import django
import pytest

from slipstream import wire

Survey = Callable[..., Any]

CELERY = """
from celery import Celery
app = Celery("mysite", broker="redis://", backend="redis://localhost/3")
app.config_from_object("django.conf:settings", namespace="CELERY")

@app.task(queue="reports")
def report(): ...
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def add(path: Path, text: str) -> None:
    path.write_text(path.read_text() + "\n" + text)


def test_a_bare_project(site: Path, survey: Survey) -> None:
    answer = survey("--ask", "redis", "no_such_module", "sys")
    assert answer.keys() == wire.SurveyAnswer.__annotations__.keys()
    assert answer["wsgi"] == "mysite.wsgi:application"
    assert answer["django_version"] == django.get_version()
    assert answer["python_version"] == list(sys.version_info[:3])
    [database] = answer["databases"]
    assert (database["vendor"], database["name"], database["has_tables"]) == ("sqlite", str(site / "db.sqlite3"), False)
    assert not (site / "db.sqlite3").exists()  # looking does not create
    assert (answer["static_url"], answer["static_root"], answer["media_url"], answer["media_root"]) == (
        "/static/",
        None,
        "",
        None,
    )
    assert answer["celery"] is None and answer["has_staticfiles"] and answer["debug"]
    assert [found["name"] for found in answer["installed"]] == ["redis", "sys"]
    assert answer["error_templates"] == []


def test_a_project_with_everything(site: Path, survey: Survey) -> None:
    sqlite3.connect(site / "db.sqlite3").execute("CREATE TABLE t (x)").connection.close()
    add(
        site / "mysite" / "settings.py",
        """
DATABASES["other"] = {"ENGINE": "django.db.backends.postgresql", "NAME": "shop", "USER": "u", "PASSWORD": "hunter2", "HOST": "db"}
STATIC_ROOT, MEDIA_URL, MEDIA_ROOT = "collected", "uploads/", BASE_DIR / "uploads"
SESSION_COOKIE_NAME = "sid"
TEMPLATES[0]["DIRS"] = [BASE_DIR / "templates"]
CELERY_TASK_ROUTES = {"a.*": {"queue": "mails"}, "b.*": "low"}
CELERY_BEAT_SCHEDULE = {"x": {"task": "mysite.celery.report", "schedule": 60}}
""",
    )
    write(site / "mysite" / "celery.py", CELERY)
    write(site / "mysite" / "__init__.py", "from .celery import app as celery_app\nprint('prints disturb nobody')\n")
    write(site / "templates" / "404.html", "gone")
    write(site / "templates" / "500.html", "{% broken %}")
    answer = survey()
    databases = {database["alias"]: database for database in answer["databases"]}
    assert databases["default"]["has_tables"] is True
    assert (databases["other"]["vendor"], databases["other"]["host"], databases["other"]["has_tables"]) == (
        "postgresql",
        "db",
        None,
    )
    assert "hunter2" not in json.dumps(answer)
    assert (answer["static_root"], answer["media_url"]) == (str(site / "collected"), "/uploads/")
    assert answer["session_cookie"] == "sid"
    assert (answer["celery"], answer["queues"], answer["default_queue"]) == ("mysite.celery:app", ["mails", "reports"], "celery")
    assert (answer["has_schedule"], answer["result_backend"]) == (True, "redis")
    assert answer["error_templates"] == [404, 500]


@pytest.mark.parametrize(
    ("storage", "is_local"),
    [
        ("django.contrib.staticfiles.storage.ManifestStaticFilesStorage", True),
        ("mysite.storage.Mine", True),
        ("mysite.storage.Remote", False),
        ("nowhere.Storage", True),
    ],
)
def test_static_files_of_object_storage_are_not_pushed_at_a_start(
    site: Path, survey: Survey, storage: str, is_local: bool
) -> None:
    write(
        site / "mysite" / "storage.py",
        "from django.contrib.staticfiles.storage import StaticFilesStorage\nfrom django.core.files.storage import Storage\n"
        "class Mine(StaticFilesStorage): ...\nclass Remote(Storage): ...\n",
    )
    add(site / "mysite" / "settings.py", f'STORAGES = {{"staticfiles": {{"BACKEND": "{storage}"}}}}')
    assert survey()["has_staticfiles"] is is_local


@pytest.mark.parametrize(
    ("module", "text", "found"),
    [
        ("__init__", "from celery import Celery\ncelery_app = Celery('x')\n", "mysite:celery_app"),
        ("celery_app", "from celery import Celery\nqueue = Celery('x')\n", "mysite.celery_app:queue"),
        ("celery", "import nothing_of_that_name\n", None),
    ],
)
def test_where_the_celery_application_may_be(site: Path, survey: Survey, module: str, text: str, found: str | None) -> None:
    write(site / "mysite" / f"{module}.py", text)
    answer = survey()
    assert answer["celery"] == found
    assert bool(answer["celery_note"]) == (found is None)


def test_settings_in_a_package_find_the_applications_of_the_project(site: Path, run: Callable[..., Any]) -> None:
    (site / "mysite" / "settings.py").rename(site / "mysite" / "base.py")
    write(site / "mysite" / "settings" / "__init__.py", "")
    write(site / "mysite" / "settings" / "live.py", "from mysite.base import *\nWSGI_APPLICATION = None\n")
    _, answer = run("slipstream.survey", "--settings", "mysite.settings.live")
    assert answer["wsgi"] == "mysite.wsgi:application"


BROKEN = {
    "a syntax error": ("settings", "settings.py", "DEBUG = = 1\n", "SyntaxError", "settings.py"),
    "a missing module": (
        "settings",
        "settings.py",
        "import environ_of_nobody\n",
        "environ_of_nobody",
        "import environ_of_nobody",
    ),
    "a missing variable": ("settings", "settings.py", "import os\nos.environ['DSN_OF_NOBODY']\n", "DSN_OF_NOBODY", "os.environ"),
    "an exit": ("settings", "settings.py", "import sys\nsys.exit('no .env')\n", "no .env", "sys.exit"),
    "an unknown application": ("setup", "settings.py", "SECRET_KEY='x'\nINSTALLED_APPS=['nobody']\n", "nobody", ""),
    "an application that fails": (
        "setup",
        "settings.py",
        "SECRET_KEY='x'\nINSTALLED_APPS=['mysite.shop']\n",
        "ZeroDivisionError",
        "1 / 0",
    ),
    "a WSGI application that fails": (
        "wsgi",
        "wsgi.py",
        "raise RuntimeError('half an edit')\n",
        "half an edit",
        "raise RuntimeError",
    ),
    "a WSGI application of another name": ("wsgi", "wsgi.py", "app = print\n", "application", ""),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_project_is_told_in_its_own_words(site: Path, survey: Survey, case: str) -> None:
    problem, file, text, message, line = BROKEN[case]
    write(site / "mysite" / "shop" / "__init__.py", "")
    write(site / "mysite" / "shop" / "models.py", "1 / 0\n")
    write(site / "mysite" / file, text)
    answer = survey()
    assert answer.keys() == wire.SurveyProblem.__annotations__.keys()
    assert answer["problem"] == problem
    assert message in answer["message"] and "\n" not in answer["message"]
    assert line in answer["traceback"]
    assert "slipstream" not in answer["traceback"] and "importlib" not in answer["traceback"]


def test_an_asgi_only_project_is_told_apart(site: Path, survey: Survey) -> None:
    settings = site / "mysite" / "settings.py"
    settings.write_text(settings.read_text().replace("WSGI_APPLICATION = 'mysite.wsgi", "ASGI_APPLICATION = 'mysite.asgi"))
    (site / "mysite" / "wsgi.py").unlink()
    assert survey()["problem"] == "asgi_only"
    answer = survey("--may-be-asgi")
    assert (answer["wsgi"], answer["asgi"]) == ("", "mysite.asgi:application")
    (site / "mysite" / "asgi.py").unlink()
    settings.write_text(settings.read_text().replace("ASGI_APPLICATION", "NOTHING"))
    assert survey()["problem"] == survey("--may-be-asgi")["problem"] == "no_wsgi"


def test_what_the_stack_file_names_has_to_be_there(site: Path, survey: Survey) -> None:
    assert survey("--wsgi", "mysite.nothing:application")["problem"] == "wsgi"
    assert survey("--celery", "mysite.nothing:app")["problem"] == "celery"
    assert survey("--wsgi", "mysite.wsgi:application")["wsgi"] == "mysite.wsgi:application"


def test_an_interpreter_without_django(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", with_pip=False)
    answer = tmp_path / "answer.json"
    runtime = Path(wire.__file__).parent.parent
    done = subprocess.run(
        [tmp_path / "bare" / "bin" / "python", "-m", "slipstream.launch", "slipstream.survey", "--settings", "mysite.settings"],
        env={**os.environ, "PYTHONPATH": str(runtime), "SLIPSTREAM_ANSWER": str(answer)},
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 1
    assert json.loads(answer.read_text())["problem"] == "django_missing"
