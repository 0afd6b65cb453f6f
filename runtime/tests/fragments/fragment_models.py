"""Models that need no database: a fragment looks at instances only."""

from django.db import models


class Article(models.Model):
    title = models.CharField(max_length=100)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        app_label = "fragment_tests"


class Plain(models.Model):
    class Meta:
        app_label = "fragment_tests"
