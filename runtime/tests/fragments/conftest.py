"""Templates made of texts, a model that needs no database, and a cache on a real server."""

# ruff: noqa: E402  (settings come before what reads them)

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1] / "caches")]

import django
from cache_servers import CacheServer, running
from django.conf import settings

if not settings.configured:
    settings.configure(SECRET_KEY="test", USE_TZ=True, ALLOWED_HOSTS=["*"])
django.setup()

from django.template import Context, Engine
from django.test import override_settings

_numbers = itertools.count()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[CacheServer]:
    with running("redis") as server:
        yield server


@pytest.fixture
def entry(redis_server: CacheServer) -> dict[str, Any]:
    return {
        "BACKEND": redis_server.backend,
        "LOCATION": redis_server.location,
        "KEY_PREFIX": f"fragments{next(_numbers)}",
        "OPTIONS": {"timeout_seconds": 2.0},  # on a busy machine 50 ms pass without the server's fault
    }


@pytest.fixture
def in_development() -> Iterator[None]:
    with override_settings(DEBUG=True):
        yield


@pytest.fixture
def templates(entry: dict[str, Any]) -> Iterator[Callable[..., Any]]:
    """Give a function: texts by template name -> a function that renders one of them with a context."""

    def make(**sources: str) -> Callable[..., str]:
        engine = Engine(
            libraries={"slipstream": "slipstream.templatetags.slipstream", "cache": "django.templatetags.cache"},
            loaders=[
                (
                    "django.template.loaders.cached.Loader",
                    [("django.template.loaders.locmem.Loader", {f"{name}.html": text for name, text in sources.items()})],
                )
            ],
        )

        def render(name: str = "page", **values: Any) -> str:
            return engine.get_template(f"{name}.html").render(Context(values))

        return render

    with override_settings(CACHES={"default": entry}):
        yield make


@pytest.fixture
def calls() -> Any:
    """Something a template can count its renderings with: {{ calls.one }}."""

    class Calls(SimpleNamespace):
        count = 0

        @property
        def one(self) -> str:
            self.count += 1
            return ""

    return Calls()
