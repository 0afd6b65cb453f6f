"""The same project with the database that the stack offers, as the overlay would put it in force."""

import os

from settings import *  # noqa: F403

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": os.environ["TEST_DATABASE"],
        "HOST": os.environ["TEST_DATABASE_HOST"],
        "PORT": os.environ["TEST_DATABASE_PORT"],
        "USER": "app",
        "PASSWORD": "app-password",
        "OPTIONS": {"options": "-c statement_timeout=27s"},
    }
}
