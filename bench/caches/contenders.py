"""The cache backends that are compared, each on the same server of its product."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from typing import Any

BASELINE = "django.RedisCache"


def entries(redis_port: int, memcached_port: int) -> dict[str, dict[str, Any]]:
    """Return a CACHES setting with every contender under its name; what is not installed is left out."""
    redis, memcached = f"redis://127.0.0.1:{redis_port}/0", f"127.0.0.1:{memcached_port}"
    found = {
        BASELINE: {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": redis},
        "slipstream.RedisCache": {"BACKEND": "slipstream.caches.RedisCache", "LOCATION": redis},
        "django-redis": {"BACKEND": "django_redis.cache.RedisCache", "LOCATION": redis},
        "django-valkey": {"BACKEND": "django_valkey.cache.ValkeyCache", "LOCATION": redis.replace("redis:", "valkey:")},
        "django.PyMemcacheCache": {"BACKEND": "django.core.cache.backends.memcached.PyMemcacheCache", "LOCATION": memcached},
        "slipstream.MemcachedCache": {"BACKEND": "slipstream.caches.MemcachedCache", "LOCATION": memcached},
    }
    for name, module in (("django-redis", "django_redis"), ("django-valkey", "django_valkey")):
        try:
            __import__(module)
        except ImportError:
            del found[name]
    for number, entry in enumerate(found.values()):
        entry["KEY_PREFIX"] = f"bench{number}"
        entry["TIMEOUT"] = 3600
        if entry["BACKEND"].startswith("slipstream"):
            # On a busy machine 50 ms pass without the server's fault; it is CPU time that is compared.
            entry["OPTIONS"] = {"timeout_seconds": 2.0}
    return found


@contextlib.contextmanager
def servers() -> Iterator[tuple[int, int]]:
    """Run a redis-server and a memcached on free ports of the loopback; give (redis port, memcached port)."""
    directory = tempfile.mkdtemp(prefix="slipstream-bench-")
    ports = [_free_port(), _free_port()]
    commands = [
        ["redis-server", "--port", str(ports[0]), "--bind", "127.0.0.1", "--save", "", "--dir", directory],
        ["memcached", "-p", str(ports[1]), "-l", "127.0.0.1", "-u", "nobody"],
    ]
    started = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for command in commands]
    try:
        for port in ports:
            _wait_for(port)
        yield ports[0], ports[1]
    finally:
        for process in started:
            process.kill()
            process.wait()
        shutil.rmtree(directory, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.2):
            return
        if time.monotonic() > deadline:
            raise SystemExit(f"no cache server answers on port {port}; are redis-server and memcached installed?")
        time.sleep(0.02)
