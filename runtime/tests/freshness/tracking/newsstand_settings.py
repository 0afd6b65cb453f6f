"""Settings of the newsstand, in every process of its tests; where its servers are comes from the environment."""

import os

SECRET_KEY = "test"
USE_TZ = True
ALLOWED_HOSTS = ["*"]
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "newsstand", "slipstream"]
_ENTRY = {"ENGINE": "django.db.backends.postgresql", "USER": "owner", "HOST": os.environ.get("NEWSSTAND_PG", ""), "PORT": "5432"}
DATABASES = {
    "default": {**_ENTRY, "NAME": "newsstand"},
    "archive": {**_ENTRY, "NAME": "archive"},
    "local": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get("NEWSSTAND_PG", "") + "/local.sqlite3"},
}
SLIPSTREAM = {
    "FRESHNESS": {
        "STORE": os.environ.get("NEWSSTAND_STORE", ""),
        "PREFIX": os.environ.get("NEWSSTAND_PREFIX", "newsstand:"),
        "LOST_STORE": os.environ.get("NEWSSTAND_LOST_STORE", "refuse"),
        "CACHED_MODELS": os.environ.get("NEWSSTAND_CACHED", "*").split(),
        "UNTRACKED_TABLES": ["django_session", "django_migrations", "newsstand_private"],
        "STORE_SECONDS": 2.0,
    }
}
