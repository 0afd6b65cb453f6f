"""The Celery application: finds the tasks of every app and reads its settings from Django's."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gazette.settings")

app = Celery("gazette")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
