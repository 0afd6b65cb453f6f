"""Looks at a project from inside, in its own interpreter with its own settings, and answers with what running it needs.

``python -m slipstream.launch slipstream.survey --settings mysite.settings --ask redis ...`` with the project's folder as
the working directory writes ``wire.SurveyAnswer`` or ``wire.SurveyProblem`` as JSON to the file named in
``SLIPSTREAM_ANSWER``. Nothing is changed and no database is written to; the project's prints go where they always go.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

import slipstream
from slipstream import wire

OLDEST_PYTHON = (3, 10)
"""Of Django 5.2, the oldest Django that the runtime is made for."""

VENDORS = {"sqlite": "sqlite", "spatialite": "sqlite", "postgres": "postgresql", "postgis": "postgresql", "psycopg": "postgresql",
           "mysql": "mysql", "oracle": "oracle"}  # fmt: skip
"""Parts of ENGINE's dotted path; third-party engines (pools, metrics) keep the name of what they wrap."""


class ProblemFound(Exception):
    """The project cannot be run; carries the answer."""

    def __init__(self, problem: str, message: str, error: BaseException | None = None) -> None:
        super().__init__(message)
        self.answer = wire.SurveyProblem(problem=problem, message=message, traceback=describe_error(error) if error else "")


@contextmanager
def complaining(problem: str, message: str) -> Iterator[None]:
    """Turn whatever the project raises, ``sys.exit`` included, into a ``ProblemFound``."""
    try:
        yield
    except ProblemFound:
        raise
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {error}".splitlines()[0].rstrip(": ")
        raise ProblemFound(problem, f"{message} ({what})", error) from error


def describe_error(error: BaseException) -> str:
    """The project's own error as Python prints it, with the project's frames only."""
    library = tuple(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib"))
    own = str(Path(__file__).parent)

    def is_of_project(frame: traceback.FrameSummary) -> bool:
        name = frame.filename
        return not (name.startswith((*library, own, "<frozen")) or "site-packages" in name or "dist-packages" in name)

    shown = traceback.TracebackException.from_exception(error)
    link: traceback.TracebackException | None = shown
    while link is not None:
        link.stack = traceback.StackSummary.from_list([frame for frame in link.stack if is_of_project(frame)])
        link = link.__cause__ or link.__context__
    return "".join(shown.format())


def survey(
    settings: str, wsgi: str | None, celery: str | None, asked: list[str], *, may_be_asgi: bool = False
) -> wire.SurveyAnswer:
    """What running the project needs; ``ProblemFound`` when it cannot be run. ``wsgi`` and ``celery`` win over what is found.

    With ``may_be_asgi`` a project without a WSGI application is run by its ASGI application.
    """
    if sys.version_info < OLDEST_PYTHON:
        version = ".".join(map(str, sys.version_info[:3]))
        raise ProblemFound("python_too_old", f"Python {version} is older than {'.'.join(map(str, OLDEST_PYTHON))}")
    if find_spec("django") is None:
        raise ProblemFound("django_missing", f"the interpreter {sys.executable} has no Django")
    import django

    os.environ["DJANGO_SETTINGS_MODULE"] = settings
    with complaining("settings", f"the settings module {settings} does not import"):
        import_module(settings)
        from django.conf import settings as current

        debug = bool(current.DEBUG)
    with complaining("setup", "django.setup() fails with the project's own settings"):
        django.setup()

    asgi_setting = getattr(current, "ASGI_APPLICATION", None)
    found_wsgi = find_wsgi(settings, wsgi, current.WSGI_APPLICATION)
    found_asgi = None if found_wsgi else find_asgi(settings, asgi_setting, may_be_asgi)
    tasks = find_celery(settings, celery)
    return wire.SurveyAnswer(
        runtime_version=slipstream.__version__,
        installed_runtime=find_installed_runtime(),
        python_version=list(sys.version_info[:3]),
        django_version=django.get_version(),
        settings=settings,
        wsgi=found_wsgi or "",
        asgi=found_asgi,
        celery=tasks["celery"],
        celery_note=tasks["note"],
        queues=tasks["queues"],
        default_queue=tasks["default_queue"],
        result_backend=tasks["result_backend"],
        has_schedule=tasks["has_schedule"],
        databases=describe_databases(current.DATABASES),
        static_url=current.STATIC_URL or "",
        static_root=absolute(current.STATIC_ROOT),
        has_staticfiles=has_app("django.contrib.staticfiles") and collects_into_a_folder(),
        media_url=current.MEDIA_URL if current.MEDIA_ROOT else "",
        media_root=absolute(current.MEDIA_ROOT),
        session_cookie=current.SESSION_COOKIE_NAME,
        csrf_cookie=current.CSRF_COOKIE_NAME,
        language_cookie=current.LANGUAGE_COOKIE_NAME,
        installed=find_modules(asked),
        prefix=sys.prefix,
        base_prefix=sys.base_prefix,
        paths=[path for path in sys.path if path and Path(path).exists()],
        template_backends=[engine.get("BACKEND", "") for engine in current.TEMPLATES],
        error_templates=find_error_templates(),
        debug=debug,
    )


def absolute(path: object) -> str | None:
    """An absolute path of a setting; None when it is unset (empty)."""
    return str(Path(str(path)).absolute()) if path else None


def collects_into_a_folder() -> bool:
    """Whether collectstatic copies files here; into object storage it is a deploy, which nobody asked for when starting."""
    from django.conf import settings
    from django.core.files.storage import FileSystemStorage
    from django.utils.module_loading import import_string

    try:
        storage = import_string(settings.STORAGES["staticfiles"]["BACKEND"])
    except (ImportError, KeyError):
        return True  # collectstatic itself says best what is wrong
    return issubclass(storage, FileSystemStorage)


def has_app(name: str) -> bool:
    from django.apps import apps

    return bool(apps.is_installed(name))


def parents(module: str) -> list[str]:
    """``a.b.c`` -> ``["a.b", "a"]``: settings may be a module of the project's package or a package of their own."""
    parts = module.split(".")
    return [".".join(parts[:length]) for length in range(len(parts) - 1, 0, -1)]


def exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False


# The web application ---------------------------------------------------------------------------------------------------
def find_wsgi(settings: str, written: str | None, wsgi_setting: str | None) -> str | None:
    """``module:name`` of the WSGI application, imported once to see that it works; None when there is none."""
    reference = written or referred(wsgi_setting) or first_existing(settings, "wsgi")
    if reference:
        import_application("wsgi", "WSGI", reference)
    return reference


def find_asgi(settings: str, asgi_setting: str | None, may_be_asgi: bool) -> str:
    """The same of the ASGI application of a project without a WSGI application; ``ProblemFound`` unless that will do."""
    reference = referred(asgi_setting) or first_existing(settings, "asgi")
    if not reference:
        candidates = [f"{package}.wsgi:application" for package in parents(settings)]
        raise ProblemFound("no_wsgi", "neither WSGI_APPLICATION nor " + " nor ".join(candidates) + " exists")
    if not may_be_asgi:
        raise ProblemFound("asgi_only", "the project has an ASGI application and no WSGI application")
    import_application("asgi", "ASGI", reference)
    return reference


def referred(setting: str | None) -> str | None:
    """``a.b.c`` of a setting -> ``a.b:c``."""
    module, _, name = (setting or "").rpartition(".")
    return f"{module}:{name}" if setting else None


def first_existing(settings: str, kind: str) -> str | None:
    """Where ``django-admin startproject`` puts it, beside the settings or above them."""
    return next((f"{package}.{kind}:application" for package in parents(settings) if exists(f"{package}.{kind}")), None)


def import_application(problem: str, kind: str, reference: str) -> None:
    module, _, name = reference.partition(":")
    with complaining(problem, f"the {kind} application {reference} does not import"):
        if not callable(getattr(import_module(module), name)):
            raise TypeError(f"{name} is not callable")


def find_error_templates() -> list[int]:
    from django.template import TemplateDoesNotExist
    from django.template.loader import get_template

    found = []
    for status in wire.ERROR_PAGES:
        try:
            get_template(f"{status}.html")
        except TemplateDoesNotExist:
            continue
        except Exception:  # a template with an error in it exists; rendering it tells what is wrong
            pass
        found.append(status)
    return found


# Background tasks --------------------------------------------------------------------------------------------------------
def find_celery(settings: str, written: str | None) -> dict[str, Any]:
    """Where the Celery application is, its queues and whether something is scheduled; ``celery`` None when there is none."""
    nothing: dict[str, Any] = {
        "celery": None,
        "note": "",
        "queues": [],
        "default_queue": "celery",
        "result_backend": "",
        "has_schedule": False,
    }
    if not exists("celery"):
        if written:
            raise ProblemFound("celery", f"the stack file names the Celery application {written}, but Celery is not installed")
        return nothing
    from celery import Celery

    if written:
        module, _, name = written.partition(":")
        with complaining("celery", f"the Celery application {written} does not import"):
            application = getattr(import_module(module), name)
        return {**nothing, "celery": written, **describe_celery(application)}
    notes = []
    for package in parents(settings):
        for module, preferred in ((f"{package}.celery", "app"), (f"{package}.celery_app", "app"), (package, "celery_app")):
            if not exists(module):
                continue
            try:
                loaded = import_module(module)
            except Exception as error:
                notes.append(f"{module} does not import ({type(error).__name__}: {error})")
                continue
            found = instance_in(loaded, Celery, preferred)
            if found:
                return {**nothing, "celery": f"{module}:{found}", **describe_celery(getattr(loaded, found))}
    return {**nothing, "note": "; ".join(notes)}


def instance_in(module: ModuleType, kind: type, preferred: str) -> str | None:
    names = [preferred, *(name for name in vars(module) if name != preferred)]
    return next((name for name in names if isinstance(getattr(module, name, None), kind)), None)


def describe_celery(application: Any) -> dict[str, Any]:
    """Queues that tasks, routes and ``task_queues`` name, and whether beat has work; a note when the project's tasks fail."""
    from django.apps import apps

    facts: dict[str, Any] = {"note": ""}
    try:
        application.loader.import_default_modules()
        application.finalize()
    except Exception as error:
        facts["note"] = f"the tasks could not all be looked at ({type(error).__name__}: {error})"
    conf = application.conf
    default = str(conf.task_default_queue)
    queues = {getattr(queue, "name", queue) for queue in (conf.task_queues or ())}
    queues |= {queue for task in application.tasks.values() if (queue := getattr(task, "queue", None))}
    queues |= set(routed_queues(conf.task_routes))
    facts["default_queue"] = default
    facts["result_backend"] = str(conf.result_backend or "").partition(":")[0]
    facts["queues"] = sorted({str(getattr(queue, "name", queue)) for queue in queues} - {*wire.QUEUES, default})
    facts["has_schedule"] = bool(conf.beat_schedule) or apps.is_installed("django_celery_beat")
    return facts


def routed_queues(routes: Any) -> Iterator[str]:
    """Queue names in ``task_routes``: a mapping, a list of mappings and pairs; functions cannot be asked."""
    if isinstance(routes, dict):
        for target in routes.values():
            queue = target.get("queue") if isinstance(target, dict) else target
            if queue:
                yield str(getattr(queue, "name", queue))
    elif isinstance(routes, (list, tuple)):
        if len(routes) == 2 and isinstance(routes[0], str) and isinstance(routes[1], (dict, str)):
            yield from routed_queues({routes[0]: routes[1]})
        else:
            for part in routes:
                yield from routed_queues(part)


# Data, modules -------------------------------------------------------------------------------------------------------------
def describe_databases(databases: dict[str, dict[str, Any]]) -> list[wire.SurveyDatabase]:
    return [
        wire.SurveyDatabase(
            alias=alias,
            vendor=vendor_of(alias, str(entry.get("ENGINE", ""))),
            engine=str(entry.get("ENGINE", "")),
            name=str(entry.get("NAME", "") or ""),
            host=str(entry.get("HOST", "") or ""),
            port=str(entry.get("PORT", "") or ""),
            user=str(entry.get("USER", "") or ""),
            has_tables=has_tables(str(entry.get("NAME", ""))) if "sqlite" in str(entry.get("ENGINE", "")) else None,
        )
        for alias, entry in databases.items()
        if entry.get("ENGINE") and entry["ENGINE"] != "django.db.backends.dummy"
    ]


def vendor_of(alias: str, engine: str) -> str:
    from django.db import connections

    try:
        vendor = str(connections[alias].vendor)
    except Exception:  # its driver is missing: the name has to do
        vendor = next((vendor for part, vendor in VENDORS.items() if part in engine.lower()), "unknown")
    return vendor if vendor in VENDORS.values() else "unknown"


def has_tables(name: str) -> bool:
    """Whether the SQLite file ``name`` holds tables; looked at read-only, so that an absent file is not created."""
    import sqlite3

    file = Path(name)
    if not file.is_file():
        return False
    try:
        connection = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=2)
        try:
            return bool(connection.execute("SELECT count(*) FROM sqlite_master WHERE type = 'table'").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return True  # locked or damaged: it is not ours to treat as empty


def find_modules(names: list[str]) -> list[wire.SurveyModule]:
    """Which of the modules can be imported, and from where; none of them is imported."""
    found = []
    for name in names:
        try:
            spec = find_spec(name)
        except (ImportError, ValueError):
            spec = None
        if spec is not None:
            places = list(spec.submodule_search_locations or ())
            found.append(wire.SurveyModule(name=name, origin=places[0] if places else spec.origin or ""))
    return found


def find_installed_runtime() -> str | None:
    """Version of slipstream that the project's environment has itself; the lent copy, which has no metadata, is not counted."""
    try:
        return importlib.metadata.version("slipstream")
    except importlib.metadata.PackageNotFoundError:
        return None


# Program ----------------------------------------------------------------------------------------------------------------
def write_answer(answer: object) -> None:
    """JSON to the file named in ``SLIPSTREAM_ANSWER``, else to standard output."""
    text = json.dumps(answer, indent=1)
    if target := os.environ.get(wire.ANSWER_VARIABLE):
        Path(target).write_text(text, encoding="utf-8")
    else:
        print(text)


def answer_with(work: Callable[[], object]) -> int:
    try:
        write_answer(work())
    except ProblemFound as found:
        write_answer(found.answer)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {wire.SURVEY_MODULE}", description=__doc__)
    parser.add_argument("--settings", required=True, help="the project's settings module")
    parser.add_argument("--wsgi", help="module:name that the stack file gives")
    parser.add_argument("--celery", help="module:name that the stack file gives")
    parser.add_argument("--may-be-asgi", action="store_true", help="the app server runs ASGI applications too")
    parser.add_argument("--ask", nargs="*", default=[], metavar="MODULE", help="modules to look for")
    given = parser.parse_args()
    return answer_with(lambda: survey(given.settings, given.wsgi, given.celery, given.ask, may_be_asgi=given.may_be_asgi))


if __name__ == "__main__":
    sys.exit(main())
