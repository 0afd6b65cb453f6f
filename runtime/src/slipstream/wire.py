"""The words that the runtime and the tool speak to each other: names only, so that either side can read them alone."""

from __future__ import annotations

from typing import TypedDict

VERSION = "0.1.0"
"""Version of both distributions; compared when the stack starts."""

PROTOCOL = 1
"""Raised when a name or document below changes its meaning."""

# Headers -----------------------------------------------------------------------------------------------------------
REQUEST_ID_HEADER = "X-Request-ID"
"""Made at the edge for every request, dropped when a visitor sends one, carried through every layer's log."""

CACHE_HEADER = "X-Cache"
"""What the accelerator did: ``hit``, ``miss`` or ``pass``."""

BYPASS_HEADER = "X-Slipstream-Bypass"
"""``1`` when the bypass parameter carried the right secret; set by the accelerator only."""

BYPASS_PARAMETER = "slipstream-bypass"
"""Query parameter whose value is the bypass secret of the stack; removed before the application sees the URL."""

# Environment of the project's processes ------------------------------------------------------------------------------
APPLICATION_VARIABLE = "SLIPSTREAM_APPLICATION"
"""``module:name`` of the project's own WSGI application, which ``slipstream.wsgi`` wraps."""

SETTINGS_VARIABLE = "SLIPSTREAM_SETTINGS"
"""The project's own settings module, which ``slipstream.overlay`` imports and then changes."""

OVERLAY_VARIABLE = "SLIPSTREAM_OVERLAY"
"""Path of the overlay document (JSON): what the stack offers, see ``OVERLAY_KEYS``."""

LENT_VARIABLE = "SLIPSTREAM_LENT"
"""Folders (os.pathsep between them) that are appended to ``sys.path``, behind the project's own packages."""

UNHURRIED_VARIABLE = "SLIPSTREAM_UNHURRIED"
"""Set for processes that no visitor waits for: the database's time limits for a request's statements are not theirs."""

ANSWER_VARIABLE = "SLIPSTREAM_ANSWER"
"""File that a program of the runtime writes its JSON answer to, so that prints of the project cannot disturb it."""

READY_VARIABLE = "SLIPSTREAM_READY"
"""File that exists while a worker (or beat) is ready; made and removed by the process itself."""

FILES_VARIABLE = "SLIPSTREAM_FILES"
"""JSON, ``[{"url", "folder", "is_static"}]``: files that the processes serve themselves where their app server cannot."""

INSTANCE_VARIABLE = "SLIPSTREAM_INSTANCE"
"""Folder of one app-server instance, named like it; each worker keeps its scoreboard there, from when it is ready."""

REQUEST_SECONDS_VARIABLE = "SLIPSTREAM_REQUEST_SECONDS"
"""How long a request may take, for app servers whose processes have to see to that themselves."""

SCOREBOARD_FIELDS = ("busy", "requests", "exceptions", "killed", "microseconds", "sent_bytes")
"""A worker's scoreboard: one native unsigned 64-bit number each, in a file named after the process's id."""

KILLED_FILE = "killed"
"""In the folder of an instance: requests ended for their time, as decimal text, by workers that are gone since."""

OVERLAY_MODULE = "slipstream.overlay"
LAUNCH_MODULE = "slipstream.launch"
SURVEY_MODULE = "slipstream.survey"
ERROR_PAGES_MODULE = "slipstream.errorpages"
COPYING_MODULE = "slipstream.database.copying"
SETTINGS_REPORT_MODULE = "slipstream.settingsreport"
WSGI_MODULE = "slipstream.wsgi"
ASGI_MODULE = "slipstream.asgi"
SERVING_PACKAGE = "slipstream.serving"

# Overlay document ------------------------------------------------------------------------------------------------------
OVERLAY_KEYS = (
    "protocol",  # int: PROTOCOL of the tool that wrote it
    "mode",  # "observe", "respect" or "fresh"
    "debug",  # bool: keep the project's DEBUG instead of switching it off
    "hosts",  # list[str]: names the site answers to
    "https_port",  # int: the edge's port as visitors see it
    "cache",  # {"urls": [str, ...]} or null: cache servers, password included
    # {"alias": "default", "engine", "name", "user", "password", "host", "port", "pool_max", "statement_seconds"} or null; the
    # last only where each connection sets the limit of a request's statements itself
    "database",
    "broker",  # {"url": str} or null
    "mail",  # {"host": str, "port": int} or null
    "static_root",  # str: where collectstatic writes; the project's own STATIC_ROOT is not touched
    "project_root",  # str: folder of manage.py
    "bypass_secret",  # str
)

ERROR_PAGES = (403, 404, 500, 503)
"""Statuses for which each layer shows the site's own page."""

QUEUES = ("high", "default", "low")
"""Task queues in order of priority: a person waits; soon; whenever there is room."""

HEALTH_PATH = "/.slipstream/health"
"""Answered by the edge's inner balancer: 200 while at least one app server is up."""

# Survey ------------------------------------------------------------------------------------------------------------------
PROBLEMS = (
    "python_too_old",  # the interpreter cannot run the runtime
    "django_missing",
    "settings",  # the project's settings do not import
    "setup",  # django.setup() fails: an application of the project does not load
    "asgi_only",  # there is an ASGI application and no WSGI application
    "no_wsgi",
    "wsgi",  # the WSGI application is named but does not import
    "asgi",  # the same of the ASGI application
    "celery",  # the stack file names a Celery application that does not import
)
"""Kinds of ``SurveyProblem``."""


class SurveyProblem(TypedDict):
    """Answer of ``slipstream.survey`` when the project cannot be run; exit code 1."""

    problem: str  # one of PROBLEMS
    message: str  # one sentence: what was found, in the project's own words
    traceback: str  # the project's own error, only the project's frames; empty when there is none


class SurveyDatabase(TypedDict):
    """One entry of DATABASES, without its password."""

    alias: str
    vendor: str  # "sqlite", "postgresql", "mysql", "oracle" or "unknown"
    engine: str
    name: str
    host: str
    port: str
    user: str
    has_tables: bool | None  # SQLite: whether the file holds tables; others are not asked


class SurveyModule(TypedDict):
    """An extra module and where the project's interpreter would import it from."""

    name: str
    origin: str  # file or folder; empty for a built-in module


class SurveyAnswer(TypedDict):
    """Answer of ``slipstream.survey`` about a project that can be run; exit code 0."""

    runtime_version: str  # of the runtime that answered
    installed_runtime: str | None  # version of slipstream installed in the project's own environment
    python_version: list[int]
    django_version: str
    settings: str
    wsgi: str  # "module:name"; empty when the project runs by its ASGI application
    asgi: str | None  # "module:name" when there is no WSGI application and the app server takes this one
    celery: str | None  # "module:name"
    celery_note: str  # why a Celery application could not be looked into; empty when it could
    queues: list[str]  # further queues that the Celery application declares
    default_queue: str  # its task_default_queue; "celery" unless the project chose another
    result_backend: str  # its scheme ("redis", "rpc", "django-db"), empty when results are not kept
    has_schedule: bool
    databases: list[SurveyDatabase]
    static_url: str
    static_root: str | None
    has_staticfiles: bool  # and collectstatic copies them into a folder, not into object storage
    media_url: str
    media_root: str | None
    session_cookie: str
    csrf_cookie: str
    language_cookie: str
    installed: list[SurveyModule]  # of the modules asked about, those that can be imported
    prefix: str
    base_prefix: str
    paths: list[str]  # existing folders of the interpreter's search path, the project's own packages among them
    template_backends: list[str]
    error_templates: list[int]  # statuses of ERROR_PAGES whose template exists
    debug: bool  # the project's own DEBUG


# Copy of an SQLite project's data -----------------------------------------------------------------------------------------
class CopyProblem(TypedDict):
    """Answer of ``slipstream.database.copying`` when nothing was copied; exit code 1."""

    message: str  # what was found, what to do next
    details: list[str]  # tables, rows and columns that it is about


class LeftBehind(TypedDict):
    """A table of the original that holds rows but that no model of the project describes."""

    table: str
    rows: int


class CopyAnswer(TypedDict):
    """Answer of ``slipstream.database.copying`` when all data is there; exit code 0."""

    copied: bool  # False: it had been copied before, nothing was changed
    tables: int
    rows: int
    left_behind: list[LeftBehind]
    original_sha256: str
    original_has_changed: bool  # since it was copied


# Caches -----------------------------------------------------------------------------------------------------------------
BUMPING_MODULE = "slipstream.caches.bumping"


class BumpAnswer(TypedDict):
    """Answer of ``slipstream.caches.bumping``."""

    name: str
    values: int | None  # about how many will be computed again; None when no server could count them
    renewed: list[str]  # servers that have the new generation
    unreached: list[str]  # servers that could not be told yet
