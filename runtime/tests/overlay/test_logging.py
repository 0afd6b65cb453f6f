"""LOGGING as projects write it, and what becomes of it: each line once, as JSON, and nothing by mail or into files."""

from __future__ import annotations

import json
import logging
import logging.config
from collections.abc import Iterator
from typing import Any

import pytest
from django.utils.log import DEFAULT_LOGGING

from slipstream.logs import JsonFormatter, request_id
from slipstream.overlay.logs import convert

CONSOLE = {"class": "logging.StreamHandler", "formatter": "verbose"}


@pytest.fixture
def clean_logging() -> Iterator[None]:
    """The loggers that a configuration touches are put back: other tests log too."""
    names = [None, "django", "django.server", "django.request", "site", "site.part"]
    before = {
        name: (logger.handlers[:], logger.level, logger.propagate, logger.disabled, logger.filters[:])
        for name in names
        for logger in [logging.getLogger(name)]
    }
    yield
    for name, (handlers, level, propagate, disabled, filters) in before.items():
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate, logger.disabled, logger.filters = handlers, propagate, disabled, filters
        logger.setLevel(level)


def lines_of(project: dict[str, Any], capsys: pytest.CaptureFixture[str], *loggers: str) -> list[dict[str, Any]]:
    logging.config.dictConfig(DEFAULT_LOGGING)  # as Django does before the project's own
    logging.config.dictConfig(convert(project))
    for name in loggers:
        logging.getLogger(name).error("said by %s", name)
    captured = capsys.readouterr()
    assert captured.out == ""
    return [json.loads(line) for line in captured.err.splitlines()]


@pytest.mark.usefixtures("clean_logging")
@pytest.mark.parametrize(
    "project",
    [
        {},
        {"version": 1, "handlers": {"console": CONSOLE}, "root": {"handlers": ["console"], "level": "WARNING"}},
        {"version": 1, "handlers": {"console": CONSOLE}, "loggers": {"site": {"handlers": ["console"], "level": "INFO"}}},
        {
            "version": 1,
            "handlers": {"console": CONSOLE},
            "loggers": {"site": {"handlers": ["console"], "propagate": False}, "django": {"handlers": ["console"]}},
        },
        {
            "version": 1,
            "disable_existing_loggers": True,
            "handlers": {"file": {"class": "logging.FileHandler", "filename": "/nowhere/site.log"}},
            "loggers": {"site": {"handlers": ["file"], "propagate": False}},
            "root": {"handlers": ["file"]},
        },
        {
            "version": 1,
            "filters": {"debug": {"()": "django.utils.log.RequireDebugTrue"}},
            "handlers": {"console": {**CONSOLE, "filters": ["debug"], "stream": "ext://sys.stdout"}},
            "root": {"handlers": ["console"]},
        },
        {
            "version": 1,
            "handlers": {"mail": {"class": "django.utils.log.AdminEmailHandler"}, "console": CONSOLE},
            "loggers": {"django.request": {"handlers": ["mail"], "level": "ERROR", "propagate": False}},
        },
    ],
)
def test_each_line_is_written_once_as_json(project: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    project = {"formatters": {"verbose": {"format": "%(message)s"}}, **project}
    loggers = ("site", "site.part", "django.request", "elsewhere")
    lines = lines_of(project, capsys, *loggers)
    assert [line["logger"] for line in lines] == list(loggers)
    assert [line["message"] for line in lines] == [f"said by {name}" for name in loggers]


@pytest.mark.usefixtures("clean_logging")
def test_levels_filters_and_other_handlers_stay(capsys: pytest.CaptureFixture[str]) -> None:
    project = {
        "version": 1,
        "filters": {"quiet": {"()": "logging.Filter", "name": "site"}},
        "handlers": {"console": {**CONSOLE, "filters": ["quiet"]}, "theirs": {"class": "logging.NullHandler"}},
        "loggers": {"site": {"level": "CRITICAL"}},
        "root": {"handlers": ["console", "theirs"]},
    }
    converted = convert({"formatters": {"verbose": {"format": "%(message)s"}}, **project})
    assert converted["root"]["handlers"] == ["console", "theirs"]
    assert converted["handlers"]["console"]["filters"] == ["quiet"]
    lines = lines_of({"formatters": {"verbose": {"format": "%(message)s"}}, **project}, capsys, "site", "site.part", "elsewhere")
    assert lines == []  # "site" is at CRITICAL, "elsewhere" is filtered


def test_a_line_carries_the_request_the_traceback_and_what_was_added() -> None:
    token = request_id.set("edge-1")
    try:
        try:
            raise ValueError("Grüße")
        except ValueError:
            record = logging.getLogger("site").makeRecord(
                "site", logging.ERROR, __file__, 1, "failed for %s", ("a\nb",), __import__("sys").exc_info(), extra={"order": {1}}
            )
        line = json.loads(JsonFormatter().format(record))
    finally:
        request_id.reset(token)
    assert (line["level"], line["logger"], line["message"], line["request_id"]) == ("ERROR", "site", "failed for a\nb", "edge-1")
    assert line["order"] == "{1}"
    assert "ValueError: Grüße" in line["traceback"]
