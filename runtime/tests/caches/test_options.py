"""What CACHES may say, what it may not, and how the refusal helps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cache_servers import CacheServer
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from slipstream.caches import MemcachedCache, RedisCache, UnknownCache, bump, check_caches
from slipstream.caches.memcached import _address
from slipstream.lifetimes import UnknownLifetime, all_lifetimes, to_seconds

REFUSALS: list[tuple[dict[str, Any], str]] = [
    ({"OPTIONS": {"timeout": 1}}, "OPTIONS of slipstream.caches.RedisCache: timeout is not known. Did you mean timeout_seconds?"),
    ({"OPTIONS": {"jiter": 1}}, "Did you mean jitter?"),
    ({"OPTIONS": {"PASSWORD": "x"}}, "Did you mean password?"),
    ({"OPTIONS": {"zzz": 1}}, "Known are "),
    ({"OPTIONS": {"MAX_ENTRIES": 1}}, "bounded by its memory"),
    ({"OPTIONS": {"jitter": 1.5}}, "jitter is 1.5; it must be a fraction from 0 to below 1."),
    ({"OPTIONS": {"timeout_seconds": 0}}, "it must be a number above 0."),
    ({"OPTIONS": {"timeout_seconds": "50ms"}}, "it must be a number above 0."),
    ({"OPTIONS": {"failures_before_ejection": 0}}, "it must be a whole number from 1."),
    ({"OPTIONS": {"strict": "yes"}}, "it must be True or False."),
    ({"KEYPREFIX": "x"}, "Did you mean KEY_PREFIX?"),
]


@pytest.mark.parametrize(("entry", "complaint"), REFUSALS)
def test_mistakes_are_refused_with_the_nearest_valid_name(entry: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ImproperlyConfigured) as raised:
        RedisCache("redis://127.0.0.1", entry)
    assert complaint in str(raised.value)


def test_the_check_tells_at_start_which_entry_is_wrong_and_asks_no_server() -> None:
    caches = {
        "default": {"BACKEND": "slipstream.caches.RedisCache", "LOCATION": "redis://127.0.0.1:1"},
        "pages": {"BACKEND": "slipstream.caches.RedisCache", "OPTIONS": {"timeoutseconds": 1}},
        "queries": {"BACKEND": "slipstream.caches.RedisCache", "TIMEOUT": "shrot"},
        "sessions": {"BACKEND": "slipstream.caches.MemcachedCache", "LOCATION": ["127.0.0.1:1", "127.0.0.1:1"]},
        "wrong": {"BACKEND": "slipstream.caches.RedisCache", "LOCATION": "127.0.0.1:6379"},
    }
    with override_settings(CACHES=caches, SLIPSTREAM={"LIFETIMES": {"short": "10 min"}}):
        messages = [error.msg for error in check_caches()]
    assert len(messages) == 5
    assert messages[0].startswith('CACHES["pages"]: OPTIONS') and "timeout_seconds?" in messages[0]
    assert messages[1].startswith('CACHES["queries"]:')
    assert "names a server twice" in messages[2]
    assert messages[3].startswith('CACHES["wrong"]: ') and "redis://" in messages[3]
    assert "it must be a number of seconds" in messages[4]


def test_two_entries_that_are_one_cache_are_warned_of() -> None:
    entry = {"BACKEND": "slipstream.caches.RedisCache", "LOCATION": "redis://127.0.0.1:1"}
    with override_settings(CACHES={"default": entry, "pages": dict(entry), "queries": entry | {"KEY_PREFIX": "queries"}}):
        (warning,) = check_caches()
    assert warning.msg == 'CACHES["pages"] is the same cache as CACHES["default"]: the same servers and KEY_PREFIX.'


def test_lifetimes_are_changed_in_one_place() -> None:
    assert [to_seconds(name) for name in ("short", "middle", "long", "forever")] == [600, 1800, 3600, 604800]
    assert to_seconds(5) == 5
    assert to_seconds(None) is None
    with override_settings(SLIPSTREAM={"LIFETIMES": {"short": 300, "blink": 1}}):
        assert all_lifetimes() == {"short": 300, "middle": 1800, "long": 3600, "forever": 604800, "blink": 1}
        cache = RedisCache("redis://127.0.0.1", {"TIMEOUT": "short", "KEY_PREFIX": "options"})
        assert cache.default_timeout == 300
        assert cache.lifetime_ms("blink") == 1000
    with pytest.raises(UnknownLifetime, match=r'There is no lifetime "shot"\. Did you mean "short"'):
        to_seconds("shot")


def test_locations() -> None:
    assert len(RedisCache("redis://a:1;redis://b:2", {}).drivers) == 2
    assert len(RedisCache("redis://a:1, redis://b:2", {}).drivers) == 2
    assert RedisCache("", {}).drivers[0].name == "localhost:6379/0" or RedisCache("", {}).drivers[0].name.startswith(
        "127.0.0.1:6379"
    )
    assert _address("10.0.0.1:11212") == ("10.0.0.1", 11212)
    assert _address("cache") == ("cache", 11211)
    assert _address("unix:/run/m.sock") == _address("/run/m.sock") == "/run/m.sock"
    assert MemcachedCache("a:1", {}).drivers[0] is MemcachedCache("a:1", {"KEY_PREFIX": "other"}).drivers[0]


def test_bump_says_how_much_work_it_causes_and_leaves_the_others(server: CacheServer, make_cache: Any) -> None:
    from django.core.cache import caches

    entry = {"BACKEND": server.backend, "LOCATION": server.location, "OPTIONS": {"timeout_seconds": 2}}
    settings = {name: entry | {"KEY_PREFIX": f"bumped{name}"} for name in ("pages", "queries")}
    with override_settings(CACHES=settings | {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        caches["pages"].set_many({f"key{number}": number for number in range(2000)})
        caches["queries"].set_many({f"key{number}": number for number in range(200)})
        bumped = bump("pages")
        assert bumped.values is not None and 1000 < bumped.values < 4000
        assert "about" in str(bumped)
        assert caches["pages"].get_many([f"key{number}" for number in range(2000)]) == {}
        assert len(caches["queries"].get_many([f"key{number}" for number in range(200)])) == 200
        with pytest.raises(UnknownCache, match=r"Did you mean pages\?"):
            bump("page")
        with pytest.raises(UnknownCache, match="has no generations"):
            bump("default")


def test_an_unpicklable_value_names_its_key_and_a_computed_one_is_served(
    server: CacheServer, make_cache: Any, caplog: Any
) -> None:
    from slipstream.caches.mistakes import Unpicklable

    cache = make_cache(server)
    with pytest.raises(Unpicklable, match=r"cache key 'thing': a builtins\.function cannot be stored"):
        cache.set("thing", lambda: 1)
    function = test_locations
    key = f"computed-{server.product}"
    local = lambda: function  # noqa: E731
    with override_settings(DEBUG=True), pytest.raises(Unpicklable, match=key):
        cache.get_or_set(key, lambda: local)
    for _ in range(3):
        assert cache.get_or_set(key, lambda: local) is local
    assert sum(key in record.getMessage() for record in caplog.records) == 1


def test_an_unknown_lifetime_is_an_error_in_development_and_uncached_in_production(
    server: CacheServer, make_cache: Any, caplog: Any
) -> None:
    cache = make_cache(server)
    name = f"shrot{server.product}"
    for call in (
        lambda: cache.get_or_set("a", lambda: 1, name),
        lambda: cache.set("a", 1, name),
        lambda: cache.set_many({"a": 1}, name),
    ):
        with override_settings(DEBUG=True), pytest.raises(UnknownLifetime, match=name):
            call()
        for _ in range(3):
            call()
        assert cache.get("a") is None
    assert sum(name in record.getMessage() for record in caplog.records) == 1


def test_a_site_with_a_mistake_in_caches_does_not_start(tmp_path: Path) -> None:
    script = tmp_path / "site.py"
    script.write_text(
        "import django\nfrom django.conf import settings\n"
        "settings.configure(INSTALLED_APPS=['slipstream'], CACHES={'default': {'BACKEND': 'slipstream.caches.RedisCache',\n"
        "    'LOCATION': 'redis://127.0.0.1:1/0', 'OPTIONS': {'timeuot_seconds': 1}}})\ndjango.setup()\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode != 0
    last = done.stderr.strip().splitlines()[-1]
    assert "ImproperlyConfigured" in last and "timeuot_seconds" in last and "timeout" in last
