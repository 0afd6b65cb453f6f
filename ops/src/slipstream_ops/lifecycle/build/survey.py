"""Has the project's own interpreter import the project's settings, and turns its answer into ``Project``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from slipstream.wire import LAUNCH_MODULE, SURVEY_MODULE
from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.contract import Command
from slipstream_ops.lifecycle.build.interpreter import Interpreter
from slipstream_ops.lifecycle.build.lending import lent_environment
from slipstream_ops.lifecycle.run.application import ask_runtime, last_line
from slipstream_ops.placement import DatabaseFacts, Project, State, product_named
from slipstream_ops.stack import StackFile, available_servers

SURVEY_SECONDS = 60.0

NEXT_STEPS = {
    "settings": "The error above is the project's own; mend it, or name other settings under [project] in slipstream.toml",
    "setup": "The error above is the project's own; `python manage.py check` shows the same",
    "asgi": "The error above is the project's own; mend it",
    "no_wsgi": 'Set WSGI_APPLICATION, or write wsgi = "package.wsgi:application" under [project] in slipstream.toml',
    "wsgi": "The error above is the project's own; mend it",
    "celery": "Correct celery = ... under [project] in slipstream.toml",
}


def survey_project(root: Path, interpreter: Interpreter, settings: str, config: StackFile, state: State) -> Project:
    """Facts about the project at ``root``. Raises ``Complaint`` that shows the project's own error, not ours."""
    doing = f"importing {settings} of the project in {root}"
    arguments = ["--settings", settings]
    if config.project.wsgi:
        arguments += ["--wsgi", config.project.wsgi]
    if config.project.celery:
        arguments += ["--celery", config.project.celery]
    if runs_asgi(config.appserver.server):
        arguments.append("--may-be-asgi")
    command = Command(
        (str(interpreter.python), "-m", LAUNCH_MODULE, SURVEY_MODULE, *arguments),
        doing,
        environment={**lent_environment(state), **config.project.environment},
        directory=root,
        timeout_seconds=SURVEY_SECONDS,
    )
    result, answer = ask_runtime(command)
    if not isinstance(answer, dict):
        raise Complaint(
            doing, f"the interpreter gave no answer ({last_line(result)})", "See the output above", result.transcript[-4000:]
        )
    if problem := answer.get("problem"):
        next_step = advise_asgi() if problem == "asgi_only" else NEXT_STEPS.get(problem, "")
        raise Complaint(doing, answer["message"], next_step, answer.get("traceback", ""))
    return _project_of(root, interpreter, answer)


def runs_asgi(server: str) -> bool:
    """Whether this app server says that it runs ASGI applications as well."""
    return bool(getattr(product_named("appserver", server), "RUNS_ASGI", False))


def advise_asgi() -> str:
    able = [f'server = "{server}"' for server in available_servers("appserver") if runs_asgi(server)]
    written = f"Write {' or '.join(able)} under [appserver] in slipstream.toml, or add" if able else "Add"
    return f"{written} a wsgi.py (see `django-admin startproject`)"


def _project_of(root: Path, interpreter: Interpreter, answer: dict[str, Any]) -> Project:
    return Project(
        root=root,
        python=interpreter.python,
        python_version=interpreter.version,
        settings=answer["settings"],
        wsgi=answer["wsgi"],
        asgi=answer["asgi"],
        django_version=answer["django_version"],
        celery=answer["celery"],
        databases=tuple(
            DatabaseFacts(d["alias"], d["vendor"], d["engine"], d["name"], d["host"], d["has_tables"])
            for d in answer["databases"]
        ),
        installed=interpreter.installed,
        static_url=answer["static_url"],
        static_root=_path(answer["static_root"]),
        has_staticfiles=answer["has_staticfiles"],
        media_url=answer["media_url"],
        media_root=_path(answer["media_root"]),
        session_cookie=answer["session_cookie"],
        csrf_cookie=answer["csrf_cookie"],
        language_cookie=answer["language_cookie"],
        queues=tuple(dict.fromkeys([answer["default_queue"], *answer["queues"]])) if answer["celery"] else (),
        has_schedule=answer["has_schedule"],
        prefixes=tuple(
            dict.fromkeys(
                [*interpreter.prefixes, Path(answer["prefix"]), Path(answer["base_prefix"]), *map(Path, answer["paths"])]
            )
        ),
        runtime_version=interpreter.runtime,
        result_backend=answer["result_backend"],
    )


def _path(text: str | None) -> Path | None:
    return Path(text) if text else None
