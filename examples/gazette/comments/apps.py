"""The comments app, as Django registers it."""

from django.apps import AppConfig


class CommentsConfig(AppConfig):
    name = "comments"
