"""What the overlay changes in a project's settings, subject by subject; and what it leaves alone."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from slipstream.overlay import applications, caches, databases, logs, mail, security, sessions, site, static, tasks, templates
from slipstream.overlay.offer import DatabaseOffer, MailOffer, Offer, parse_offer
from slipstream.overlay.resolution import SUBJECTS, Subject, resolve

LOCMEM = "django.core.cache.backends.locmem.LocMemCache"
REDIS = "django.core.cache.backends.redis.RedisCache"
DJANGO_TEMPLATES = "django.template.backends.django.DjangoTemplates"
CACHED = "django.template.loaders.cached.Loader"
FILES = "django.template.loaders.filesystem.Loader"
SESSIONS = {"INSTALLED_APPS": ["django.contrib.sessions"]}
BACKENDS = "django.contrib.sessions.backends"
CACHE_OFFER = Offer(cache_urls=("redis://cache:6379/0",))
DATABASE_OFFER = DatabaseOffer(name="site", user="site", password="secret", host="/run/database", port=5432, pool_max=1)


def after(subject: Subject, settings: dict[str, Any], offer: Offer | None = None) -> dict[str, Any]:
    """The values that ``subject`` changes, by name."""
    return {change.name: change.after for change in subject(MappingProxyType(settings), offer or Offer())}


@pytest.mark.parametrize(
    ("settings", "offer", "expected"),
    [
        ({"DEBUG": True}, Offer(), {"DEBUG": False}),
        ({"DEBUG": False}, Offer(), {}),
        ({}, Offer(), {}),
        ({"DEBUG": True}, Offer(keeps_debug=True), {}),
    ],
)
def test_debug_is_off_unless_asked(settings: dict[str, Any], offer: Offer, expected: dict[str, Any]) -> None:
    assert after(site.switch_debug_off, settings, offer) == expected


@pytest.mark.parametrize(
    ("hosts", "offered", "expected"),
    [
        ([], ("localhost",), ["localhost", "127.0.0.1", "[::1]"]),
        (["a.org"], ("b.org", "a.org"), ["a.org", "b.org"]),
        (["a.org"], ("*.b.org",), ["a.org", ".b.org"]),
    ],
)
def test_names_of_the_stack_file_are_allowed(hosts: list[str], offered: tuple[str, ...], expected: list[str]) -> None:
    assert after(site.allow_hosts, {"ALLOWED_HOSTS": hosts}, Offer(hosts=offered)) == {"ALLOWED_HOSTS": expected}


def test_a_project_that_takes_every_name_still_does() -> None:
    assert after(site.allow_hosts, {"ALLOWED_HOSTS": ["*"]}) == {}


def test_the_runtime_is_installed_last_and_entered_first() -> None:
    settings = {"INSTALLED_APPS": ("blog",), "MIDDLEWARE": ["blog.Middleware"]}
    assert after(applications.install_runtime, settings) == {"INSTALLED_APPS": ["blog", "slipstream"]}
    assert after(applications.enter_first, settings) == {"MIDDLEWARE": [applications.MIDDLEWARE, "blog.Middleware"]}
    installed = {"INSTALLED_APPS": ["slipstream", "blog"], "MIDDLEWARE": [applications.MIDDLEWARE]}
    assert after(applications.install_runtime, installed) == after(applications.enter_first, installed) == {}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, {}),
        ({"loaders": [FILES]}, {"loaders": [(CACHED, [FILES])]}),
        ({"loaders": [(FILES, ["/t"])]}, {"loaders": [(CACHED, [(FILES, ["/t"])])]}),
        ({"loaders": [(CACHED, [FILES])]}, {"loaders": [(CACHED, [FILES])]}),
        ({"debug": True}, {"debug": False}),
    ],
)
def test_templates_are_cached(options: dict[str, Any], expected: dict[str, Any]) -> None:
    engine = {"BACKEND": DJANGO_TEMPLATES, "APP_DIRS": not options.get("loaders"), "OPTIONS": options}
    assert templates.with_cached_loader(engine)["OPTIONS"] == expected
    assert engine["OPTIONS"] is options  # the project's own objects are not touched


def test_templates_of_a_project_in_debug_are_read_anew() -> None:
    engine = {"BACKEND": DJANGO_TEMPLATES, "OPTIONS": {"loaders": [FILES]}}
    assert after(templates.cache_templates, {"DEBUG": True, "TEMPLATES": [engine]}, Offer(keeps_debug=True)) == {}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({}, {"CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True}),
        ({"CONN_MAX_AGE": 0}, {"CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": True}),
        ({"CONN_MAX_AGE": 60}, {"CONN_MAX_AGE": 60}),
        ({"CONN_MAX_AGE": None}, {"CONN_MAX_AGE": None}),
        ({"CONN_HEALTH_CHECKS": False}, {"CONN_MAX_AGE": 300, "CONN_HEALTH_CHECKS": False}),
        ({"OPTIONS": {"pool": True}}, {"OPTIONS": {"pool": True}}),
        ({"DISABLE_SERVER_SIDE_CURSORS": True}, {"DISABLE_SERVER_SIDE_CURSORS": True}),  # behind pgbouncer
    ],
)
def test_connections_of_the_project_are_kept(entry: dict[str, Any], expected: dict[str, Any]) -> None:
    engine = {"ENGINE": "django.db.backends.postgresql"}
    changed = after(databases.place_databases, {"DATABASES": {"default": {**engine, **entry}}})
    assert changed.get("DATABASES", {"default": {**engine, **entry}})["default"] == {**engine, **expected}


def test_sqlite_waits_and_its_file_is_not_changed() -> None:
    entry = {"ENGINE": "django.db.backends.sqlite3", "NAME": "/srv/db.sqlite3"}
    tuned = databases.keep_connections(entry)
    assert tuned["OPTIONS"] == {"timeout": 20, "transaction_mode": "IMMEDIATE"}
    assert "CONN_MAX_AGE" not in tuned and "init_command" not in tuned["OPTIONS"]
    assert databases.keep_connections({**entry, "ATOMIC_REQUESTS": True})["OPTIONS"] == {"timeout": 20}
    own = {**entry, "OPTIONS": {"timeout": 3, "transaction_mode": "DEFERRED"}}
    assert databases.keep_connections(own) == own
    assert databases.keep_connections({**entry, "NAME": ":memory:"}) == {**entry, "NAME": ":memory:"}


def test_the_stack_s_database_replaces_where_not_how() -> None:
    before = {
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "db", "ATOMIC_REQUESTS": True, "OPTIONS": {"timeout": 1}},
        "archive": {"ENGINE": "django.db.backends.mysql"},
    }
    changed = after(databases.place_databases, {"DATABASES": before}, Offer(database=DATABASE_OFFER))["DATABASES"]
    assert changed["default"] == {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "site",
        "USER": "site",
        "PASSWORD": "secret",
        "HOST": "/run/database",
        "PORT": "5432",
        "ATOMIC_REQUESTS": True,
        "CONN_MAX_AGE": 300,
        "CONN_HEALTH_CHECKS": True,
    }
    assert changed["archive"]["CONN_MAX_AGE"] == 300


@pytest.mark.parametrize(
    ("engine", "expected"),
    [
        ("django.contrib.gis.db.backends.spatialite", "django.contrib.gis.db.backends.postgis"),
        ("django_prometheus.db.backends.postgresql", "django_prometheus.db.backends.postgresql"),
        ("django.db.backends.mysql", "django.db.backends.postgresql"),
    ],
)
def test_the_stack_s_database_keeps_what_the_engine_adds(engine: str, expected: str) -> None:
    assert databases.own_database({"ENGINE": engine}, DATABASE_OFFER)["ENGINE"] == expected


def test_threads_share_a_pool() -> None:
    offered = DatabaseOffer(name="site", user="site", password="secret", pool_max=4)
    entry = databases.own_database({}, offered)
    assert entry["OPTIONS"]["pool"]["max_size"] == 4
    assert entry["CONN_MAX_AGE"] == 0  # Django refuses kept connections beside a pool


def test_logical_caches_share_the_stack_s_server() -> None:
    changed = after(caches.place_caches, {"CACHES": {"default": {"BACKEND": LOCMEM, "TIMEOUT": 60}}}, CACHE_OFFER)["CACHES"]
    assert set(changed) == {"default", "pages", "fragments", "queries", "sessions"}
    assert changed["default"] == {"BACKEND": "slipstream.caches.RedisCache", "LOCATION": "redis://cache:6379/0", "TIMEOUT": 60}
    assert {name: entry.get("KEY_PREFIX", "") for name, entry in changed.items() if name != "default"} == {
        name: name for name in caches.LOGICAL
    }


def test_a_cache_server_of_the_project_is_kept() -> None:
    own = {"default": {"BACKEND": REDIS, "LOCATION": "redis://theirs"}, "pages": {"BACKEND": REDIS, "LOCATION": "redis://p"}}
    changed = after(caches.place_caches, {"CACHES": own}, CACHE_OFFER)["CACHES"]
    assert (changed["default"], changed["pages"]) == (own["default"], own["pages"])
    assert changed["queries"]["LOCATION"] == "redis://cache:6379/0"
    assert after(caches.place_caches, {"CACHES": own}) == {}


@pytest.mark.parametrize(
    ("settings", "offer", "expected"),
    [
        ({}, CACHE_OFFER, {"SESSION_ENGINE": f"{BACKENDS}.cached_db", "SESSION_CACHE_ALIAS": "sessions"}),
        ({"SESSION_CACHE_ALIAS": "mine"}, CACHE_OFFER, {"SESSION_ENGINE": f"{BACKENDS}.cached_db"}),
        ({"SESSION_ENGINE": f"{BACKENDS}.cache"}, CACHE_OFFER, {}),
        (
            {"SESSION_ENGINE": f"{BACKENDS}.cache"},
            Offer(cache_urls=("redis://c",), database=DATABASE_OFFER),
            {"SESSION_ENGINE": f"{BACKENDS}.cached_db", "SESSION_CACHE_ALIAS": "sessions"},
        ),
        ({"SESSION_ENGINE": f"{BACKENDS}.file"}, CACHE_OFFER, {}),
        ({"SESSION_ENGINE": f"{BACKENDS}.signed_cookies"}, CACHE_OFFER, {}),
        ({"INSTALLED_APPS": []}, CACHE_OFFER, {}),
        ({}, Offer(), {}),
    ],
)
def test_sessions_survive_and_spare_the_database(settings: dict[str, Any], offer: Offer, expected: dict[str, Any]) -> None:
    assert after(sessions.keep_sessions, {**SESSIONS, **settings}, offer) == expected


def test_life_behind_the_edge() -> None:
    settings = {"USE_X_FORWARDED_HOST": True, "SECURE_SSL_REDIRECT": True, "SECURE_HSTS_SECONDS": 60}
    offer = Offer(hosts=("localhost", "*.shop.test"), https_port=8443)
    assert after(security.trust_edge, settings, offer) == {
        "SECURE_PROXY_SSL_HEADER": ("HTTP_X_FORWARDED_PROTO", "https"),
        "USE_X_FORWARDED_HOST": False,
        "SECURE_SSL_REDIRECT": False,
        "SESSION_COOKIE_SECURE": True,
        "CSRF_COOKIE_SECURE": True,
        "CSRF_TRUSTED_ORIGINS": ["https://localhost:8443", "https://*.shop.test:8443"],
        "SECURE_HSTS_SECONDS": 0,
    }


def test_a_public_site_keeps_its_strict_transport() -> None:
    changed = after(security.trust_edge, {"SECURE_HSTS_SECONDS": 60}, Offer(hosts=("www.example.com",), https_port=443))
    assert "SECURE_HSTS_SECONDS" not in changed
    assert changed["CSRF_TRUSTED_ORIGINS"] == ["https://www.example.com"]


def test_mail_is_caught_where_the_stack_has_a_sink() -> None:
    changed = after(
        mail.catch_mail, {"EMAIL_HOST_PASSWORD": "x", "EMAIL_USE_TLS": True}, Offer(mail=MailOffer("127.0.0.1", 8640))
    )
    assert (changed["EMAIL_HOST"], changed["EMAIL_PORT"]) == ("127.0.0.1", 8640)
    assert (changed["EMAIL_HOST_PASSWORD"], changed["EMAIL_USE_TLS"]) == ("", False)
    assert after(mail.catch_mail, {"EMAIL_HOST": "smtp"}) == {}


def test_static_files_are_collected_beside_the_state() -> None:
    offer = Offer(static_root="/state/static")
    installed = {"INSTALLED_APPS": ["django.contrib.staticfiles"], "STATIC_ROOT": "/srv/site/static"}
    assert after(static.collect_beside_state, installed, offer) == {"STATIC_ROOT": "/state/static"}
    assert after(static.collect_beside_state, {"STATIC_ROOT": "/srv"}, offer) == {}


def test_tasks_go_to_the_stack_s_broker() -> None:
    offer = Offer(broker_url="redis://broker/0")
    assert after(tasks.place_queues, {"CELERY_BROKER_URL": "redis://theirs"}, offer) == {"CELERY_BROKER_URL": "redis://broker/0"}
    assert after(tasks.place_queues, {}, offer) == after(tasks.place_queues, {"CELERY_BROKER_URL": "x"}) == {}


def test_a_project_that_sets_logging_up_itself_does() -> None:
    assert after(logs.log_to_stderr, {"LOGGING_CONFIG": None}) == {}


def test_every_change_says_why_and_a_second_pass_changes_nothing() -> None:
    document = {
        "protocol": 1,
        "cache": {"urls": ["redis://c"]},
        "database": {"name": "n", "user": "u", "password": "p", "host": "h", "port": 1, "alias": "default", "pool_max": 3},
        "broker": {"url": "redis://b"},
        "mail": {"host": "m", "port": 25},
        "static_root": "/s",
    }
    project = {"DEBUG": True, "INSTALLED_APPS": ["django.contrib.sessions", "django.contrib.staticfiles"]}
    first = resolve(project, parse_offer(document))
    assert len(first.changes) > len(SUBJECTS)
    assert all(change.why for change in first.changes)
    assert resolve(first.settings, parse_offer(document)).changes == ()
