"""The newsletter app, as Django registers it."""

from django.apps import AppConfig


class NewsletterConfig(AppConfig):
    name = "newsletter"
