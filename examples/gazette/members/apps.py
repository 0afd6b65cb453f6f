"""The members app, as Django registers it."""

from django.apps import AppConfig


class MembersConfig(AppConfig):
    name = "members"
