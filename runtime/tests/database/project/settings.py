"""A project on SQLite, as `django-admin startproject` leaves it."""

from pathlib import Path

BASE_DIR = Path(__file__).parent
SECRET_KEY = "only for tests"
DEBUG = True
INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.sites",
    "library",
]
SITE_ID = 1
USE_TZ = True
TIME_ZONE = "Europe/Madrid"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": BASE_DIR / "db.sqlite3"}}
