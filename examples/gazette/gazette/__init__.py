"""The project: settings, addresses, and the Celery application, which shared tasks need as soon as Django starts."""

from .celery import app as celery_app

__all__ = ["celery_app"]
