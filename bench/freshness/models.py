"""A row that is updated and a list that is read."""

from django.db import models


class Section(models.Model):
    slug = models.CharField(max_length=40, unique=True)


class Article(models.Model):
    section = models.ForeignKey(Section, models.CASCADE)
    title = models.CharField(max_length=80)
    body = models.TextField()
    version = models.IntegerField(default=0)
    is_public = models.BooleanField(default=True, db_index=True)


class Plain(models.Model):
    """The same without the query cache, so that tracking alone is measured."""

    section = models.ForeignKey(Section, models.CASCADE)
    title = models.CharField(max_length=80)
    body = models.TextField()
