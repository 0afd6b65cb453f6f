"""A magazine small enough to think through, with one of each kind of relation."""

from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.contrib.contenttypes.models import ContentType
from django.db import models


class Section(models.Model):
    slug = models.CharField(max_length=40, unique=True)
    name = models.CharField(max_length=40)


class Author(models.Model):
    name = models.CharField(max_length=40)


class Tag(models.Model):
    name = models.CharField(max_length=40, unique=True)


class Article(models.Model):
    section = models.ForeignKey(Section, models.CASCADE, related_name="articles")
    author = models.ForeignKey(Author, models.SET_NULL, null=True)
    title = models.CharField(max_length=80)
    version = models.IntegerField(default=0)
    is_public = models.BooleanField(default=True, db_index=True)
    day = models.DateField(null=True, db_index=True)
    tags = models.ManyToManyField(Tag)
    notes = GenericRelation("Note")


class Feature(Article):
    weight = models.IntegerField(default=0)


class PublicArticle(Article):
    class Meta:
        proxy = True


class Comment(models.Model):
    article = models.ForeignKey(Article, models.CASCADE, related_name="comments")
    text = models.CharField(max_length=80)
    score = models.IntegerField(default=0)


class Note(models.Model):
    content_type = models.ForeignKey(ContentType, models.CASCADE)
    object_id = models.IntegerField(db_index=True)
    content_object = GenericForeignKey()
    text = models.CharField(max_length=80)


class Measurement(models.Model):
    """A table without a primary key, made by another program."""

    sensor = models.IntegerField(primary_key=True)
    value = models.IntegerField()

    class Meta:
        managed = False
        db_table = "measurement"


class Private(models.Model):
    """Never tracked: named among the untracked tables."""

    value = models.IntegerField()
