"""Django's own cache tests on each backend, with real servers; and through a faulty network, where nothing may be raised."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import django
import pytest
from cache_servers import CacheServer, FaultProxy

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def django_source() -> Path:
    """Django's source distribution of the installed version, fetched once into the user's cache folder."""
    version = django.get_version()
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "slipstream-tests"
    source = folder / f"django-{version}"
    if not (source / "tests" / "cache" / "tests.py").exists():
        folder.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "pip", "download", "--no-binary", ":all:", "--no-deps", "-q", f"Django=={version}"]
        subprocess.run(command, cwd=folder, check=True, timeout=300)
        archive = next(path for path in folder.glob("*.tar.gz") if path.name.lower() == f"django-{version}.tar.gz")
        shutil.unpack_archive(archive, folder)
    return source


def start(source: Path, backend: str, location: str, timeout_seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(HERE / "django_suite.py"), str(source), backend, location, str(timeout_seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    output, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors
    return json.loads(output.splitlines()[-1])  # type: ignore[no-any-return]


def test_django_own_suite_passes(django_source: Path, redis_server: CacheServer, memcached_server: CacheServer) -> None:
    # A second for an operation: here it is the answers that count, on a machine that does other things too.
    runs = {
        server.product: start(django_source, server.backend, server.location, 1.0) for server in (redis_server, memcached_server)
    }
    for product, process in runs.items():
        result = result_of(process)
        assert result["failed"] == [], product
        assert result["raised"] == [], product
        assert result["ran"] > 90
        # Culling by number of entries is a property of Django's database and local-memory caches; its suite skips it itself.
        assert {reason for _, reason in result["skipped"]} <= {"Culling isn't implemented."}


@pytest.mark.parametrize("fault", ["refuse", "silent", "truncate", "garbage"])
def test_django_own_suite_misses_and_never_raises_under_faults(
    django_source: Path, redis_server: CacheServer, memcached_server: CacheServer, fault: str
) -> None:
    proxies = []
    try:
        runs = {}
        for server in (redis_server, memcached_server):
            proxy = FaultProxy(server.port)
            proxy.fault = fault
            proxies.append(proxy)
            location = server.location.replace(str(server.port), str(proxy.port))
            runs[server.product] = start(django_source, server.backend, location, 0.05)
        for product, process in runs.items():
            result = result_of(process)
            assert result["raised"] == [], product  # expectations may fail: every read is a miss
            assert result["failed"], product
            # The longest test sleeps 7 s by itself; its calls cost three timeouts until the server is ejected.
            assert result["slowest_seconds"] < 12, product
    finally:
        for proxy in proxies:
            proxy.close()
