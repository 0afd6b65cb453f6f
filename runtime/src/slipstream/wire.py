"""The words that the runtime and the tool speak to each other: names only, so that either side can read them alone."""

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
SETTINGS_VARIABLE = "SLIPSTREAM_SETTINGS"
"""The project's own settings module, which ``slipstream.overlay`` imports and then changes."""

OVERLAY_VARIABLE = "SLIPSTREAM_OVERLAY"
"""Path of the overlay document (JSON): what the stack offers, see ``OVERLAY_KEYS``."""

LENT_VARIABLE = "SLIPSTREAM_LENT"
"""Folders (os.pathsep between them) that are appended to ``sys.path``, behind the project's own packages."""

ANSWER_VARIABLE = "SLIPSTREAM_ANSWER"
"""File that a program of the runtime writes its JSON answer to, so that prints of the project cannot disturb it."""

OVERLAY_MODULE = "slipstream.overlay"
LAUNCH_MODULE = "slipstream.launch"
SURVEY_MODULE = "slipstream.survey"
ERROR_PAGES_MODULE = "slipstream.errorpages"
SETTINGS_REPORT_MODULE = "slipstream.settingsreport"

# Overlay document ------------------------------------------------------------------------------------------------------
OVERLAY_KEYS = (
    "protocol",  # int: PROTOCOL of the tool that wrote it
    "mode",  # "observe", "respect" or "fresh"
    "debug",  # bool: keep the project's DEBUG instead of switching it off
    "hosts",  # list[str]: names the site answers to
    "https_port",  # int: the edge's port as visitors see it
    "cache",  # {"urls": [str, ...]} or null: cache servers, password included
    "database",  # {"alias": "default", "engine", "name", "user", "password", "host", "port", "pool_max"} or null
    "broker",  # {"url": str} or null
    "mail",  # {"host": str, "port": int} or null
    "static_root",  # str: where collectstatic writes when the project names no STATIC_ROOT
    "project_root",  # str: folder of manage.py
    "bypass_secret",  # str
)

ERROR_PAGES = (403, 404, 500, 503)
"""Statuses for which each layer shows the site's own page."""

QUEUES = ("high", "default", "low")
"""Task queues in order of priority: a person waits; soon; whenever there is room."""

HEALTH_PATH = "/.slipstream/health"
"""Answered by the edge's inner balancer: 200 while at least one app server is up."""
