"""The articles app, as Django registers it."""

from django.apps import AppConfig


class ArticlesConfig(AppConfig):
    name = "articles"
