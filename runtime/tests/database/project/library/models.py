"""Each type of field that Django has for SQLite, and each kind of relation."""

import uuid

from django.db import models
from django.db.models.functions import Upper


class Author(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4)
    name = models.CharField(max_length=20, unique=True)
    email = models.EmailField(blank=True)
    website = models.URLField(null=True)
    is_active = models.BooleanField(default=True)
    wants_mail = models.BooleanField(null=True)
    born = models.DateField(null=True)
    rises = models.TimeField(null=True)
    last_seen = models.DateTimeField(null=True)
    record = models.DurationField(null=True)
    rating = models.DecimalField(max_digits=7, decimal_places=3, null=True)
    score = models.FloatField(null=True)
    followers = models.BigIntegerField(default=0)
    rank = models.SmallIntegerField(null=True)
    visits = models.PositiveIntegerField(default=0)
    address = models.GenericIPAddressField(null=True)
    preferences = models.JSONField(default=dict)
    extra = models.JSONField(null=True)
    photo = models.FileField(upload_to="photos", blank=True)
    key = models.BinaryField(null=True)
    created = models.DateTimeField(auto_now_add=True)
    changed = models.DateTimeField(auto_now=True)


class Tag(models.Model):
    slug = models.SlugField(primary_key=True)


class Article(models.Model):
    author = models.ForeignKey(Author, models.CASCADE, related_name="articles")
    parent = models.ForeignKey("self", models.SET_NULL, null=True)
    title = models.CharField(max_length=40)
    loud_title = models.GeneratedField(expression=Upper("title"), output_field=models.CharField(max_length=40), db_persist=True)
    body = models.TextField()
    related = models.ManyToManyField("self")
    tags = models.ManyToManyField(Tag, through="Tagging")
    number = models.PositiveIntegerField(default=0, db_column="Number In Print")


class Review(Article):
    stars = models.PositiveSmallIntegerField()


class Tagging(models.Model):
    article = models.ForeignKey(Article, models.CASCADE)
    tag = models.ForeignKey(Tag, models.CASCADE)
    weight = models.IntegerField(default=1)
