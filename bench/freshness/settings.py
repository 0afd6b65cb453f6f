"""Settings of the small project that is measured; where its servers are comes from the environment."""

import os

SECRET_KEY = "bench"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["bench.freshness", "slipstream"]
DATABASES = {
    "default": {"ENGINE": "django.db.backends.postgresql", "NAME": "postgres", "USER": "owner", "HOST": os.environ["BENCH_PG"]}
}
FRESHNESS = {"STORE": os.environ["BENCH_STORE"], "PREFIX": "bench:", "CACHED_MODELS": ["freshness.Article"]}
SLIPSTREAM = {"FRESHNESS": FRESHNESS if os.environ.get("BENCH_FOLLOWS") == "1" else {}}
