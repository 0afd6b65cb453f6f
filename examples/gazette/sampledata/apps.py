"""The sampledata app, as Django registers it."""

from django.apps import AppConfig


class SampleDataConfig(AppConfig):
    name = "sampledata"
    verbose_name = "sample data"
