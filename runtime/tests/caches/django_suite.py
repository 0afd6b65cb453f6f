"""Run Django's own cache tests on a backend of slipstream: python django_suite.py SOURCE BACKEND LOCATION [timeout_seconds].

SOURCE is Django's unpacked source distribution. Prints one JSON object: how many ran, what failed, what ended in an exception
that passed through slipstream, and what was left out and why.
"""

from __future__ import annotations

import json
import sys
import time
import traceback
import unittest
from typing import Any

PRIVATE = "looks into private attributes of Django's own backend class"
EXCLUDED = {
    "RedisCacheTests": {
        "test_incr_write_connection": PRIVATE,
        "test_cache_client_class": PRIVATE,
        "test_get_backend_timeout_method": PRIVATE,
        "test_get_connection_pool_index": PRIVATE,
        "test_get_connection_pool": PRIVATE,
        "test_get_client": PRIVATE,
        "test_serializer_dumps": PRIVATE,
        "test_redis_pool_options": PRIVATE,
    },
    "BaseMemcachedTests": {
        "test_location_multiple_servers": PRIVATE,
        "test_close": "expects the connections closed at the end of a request; these are kept, and shared by threads",
        "test_set_many_returns_failing_keys": PRIVATE + " (the contract suite has the same case with a dead server)",
    },
}
# Of the middleware, fragment and key tests, the classes that fix their own cache: run on the backend in its place.
WITH_OWN_CACHES = [
    "CacheUtils",
    "CacheHEADTest",
    "CacheI18nTest",
    "PrefixedCacheI18nTest",
    "CacheMiddlewareTest",
    "TestWithTemplateResponse",
]


def main() -> None:
    source, backend, location = sys.argv[1:4]
    options: dict[str, Any] = {"timeout_seconds": float(sys.argv[4]) if len(sys.argv) > 4 else 1.0}
    sys.path.insert(0, f"{source}/tests")
    import django
    from django.conf import settings

    settings.configure(
        SECRET_KEY="django_tests_secret_key",
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth", "django.contrib.sessions", "cache"],
        DATABASES={alias: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"} for alias in ("default", "other")},
        DEFAULT_AUTO_FIELD="django.db.models.AutoField",
        ALLOWED_HOSTS=["*"],
        USE_TZ=False,
        MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
        ROOT_URLCONF="urls",
        TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "DIRS": [f"{source}/tests/templates"]}],
        LANGUAGE_CODE="en",
    )
    django.setup()
    from cache import tests
    from django.test import override_settings
    from django.test.runner import DiscoverRunner
    from django.test.utils import setup_test_environment

    base = {"BACKEND": backend, "LOCATION": location, "OPTIONS": options}
    contract = "RedisCacheTests" if backend.endswith("RedisCache") else "BaseMemcachedTests"
    bases = [getattr(tests, contract)]
    if contract == "BaseMemcachedTests":
        bases.append(tests.TestCase)
    body = {"base_params": base, "incr_decr_type_error": TypeError, "__unittest_skip__": False}
    body |= dict.fromkeys(EXCLUDED[contract])
    settled = tests.caches_setting_for_tests(base=base, exclude={"cull", "zero_cull"})
    classes = [override_settings(CACHES=settled)(type(f"Slipstream{contract}", tuple(bases), body))]
    for name in WITH_OWN_CACHES:
        entries = {
            alias: base | {"KEY_PREFIX": f"{name}{alias}"} | ({"TIMEOUT": "1"} if alias == "other" else {})
            for alias in ("default", "other")
        }
        classes.append(override_settings(CACHES=entries)(type(f"Slipstream{name}", (getattr(tests, name),), {})))

    setup_test_environment()
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases(aliases={"default": True, "other": True})
    loader = unittest.TestLoader()
    suite = unittest.TestSuite(loader.loadTestsFromTestCase(case) for case in classes)
    result = _Result()
    suite.run(result)
    runner.teardown_databases(databases)
    print(
        json.dumps(
            {
                "ran": result.testsRun,
                "failed": result.failed,
                "raised": result.raised,
                "slowest_seconds": round(result.slowest_seconds, 2),
                "skipped": [[test.id().split(".", 2)[-1], reason] for test, reason in result.skipped],
                "excluded": EXCLUDED[contract],
            }
        )
    )


class _Result(unittest.TestResult):
    """Tells an expectation that was not met from an exception that came out of slipstream."""

    def __init__(self) -> None:
        super().__init__()
        self.failed: list[tuple[str, str]] = []
        self.raised: list[tuple[str, str]] = []
        self.slowest_seconds = 0.0

    def startTest(self, test: Any) -> None:
        super().startTest(test)
        self.began = time.monotonic()

    def stopTest(self, test: Any) -> None:
        super().stopTest(test)
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - self.began)

    def note(self, test: Any, error: Any) -> None:
        frames = traceback.extract_tb(error[2])
        is_ours = (bool(frames) and "/slipstream/" in frames[-1].filename) or any("/slipstream/" in f.filename for f in frames)
        text = "".join(traceback.format_exception(*error))[-1500:]
        (self.raised if is_ours else self.failed).append((str(test), text))

    def addError(self, test: Any, err: Any) -> None:
        self.note(test, err)

    def addFailure(self, test: Any, err: Any) -> None:
        self.note(test, err)

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        if err is not None:
            self.note(subtest, err)


main()
