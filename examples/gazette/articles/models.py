"""Sections, tags, authors, images, articles, and how often each article is read."""

from datetime import timedelta
from functools import partial

from django.core.files.storage import default_storage
from django.db import models, transaction
from django.urls import reverse
from django.utils import timezone

from .thumbnails import thumbnail_name


class Section(models.Model):
    """A department of the magazine; every article is in exactly one."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(max_length=60, unique=True)
    description = models.CharField(max_length=200, blank=True)
    position = models.PositiveSmallIntegerField(default=0, help_text="Order in the navigation and on the front page.")

    class Meta:
        ordering = ["position", "name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("articles:section", args=[self.slug])


class Tag(models.Model):
    """A subject that runs across the sections."""

    name = models.CharField(max_length=60, unique=True)
    slug = models.SlugField(max_length=60, unique=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("articles:tag", args=[self.slug])


class Author(models.Model):
    """Somebody with a byline; not necessarily somebody with an account."""

    name = models.CharField(max_length=100)
    slug = models.SlugField(max_length=100, unique=True)
    role = models.CharField(max_length=100, blank=True, help_text="For example “Science correspondent”.")
    biography = models.TextField(blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self):
        return self.name

    def get_absolute_url(self):
        return reverse("articles:author", args=[self.slug])


class Image(models.Model):
    """An uploaded picture; several articles may use the same one."""

    file = models.ImageField(upload_to="images/%Y/%m", width_field="width", height_field="height")
    width = models.PositiveIntegerField(editable=False, default=0)
    height = models.PositiveIntegerField(editable=False, default=0)
    description = models.CharField(max_length=200, help_text="What is to be seen, for those who cannot see it.")
    credit = models.CharField(max_length=100, blank=True)
    thumbnails_made_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-pk"]

    def __str__(self):
        return self.description

    def save(self, *args, **kwargs):
        """Save, and have the thumbnails made in the background when the file is a new one."""
        from .tasks import make_thumbnails  # the task needs this module

        stored_name = Image.objects.filter(pk=self.pk).values_list("file", flat=True).first()
        is_new_file = bool(self.file) and self.file.name != stored_name
        if is_new_file:
            self.thumbnails_made_at = None
        super().save(*args, **kwargs)
        if is_new_file:
            transaction.on_commit(partial(make_thumbnails.delay, self.pk))

    def thumbnail_url(self, size):
        """The address of the thumbnail, or of the original as long as there is no thumbnail."""
        if self.thumbnails_made_at is None:
            return self.file.url
        return default_storage.url(thumbnail_name(self.file.name, size))

    @property
    def card_url(self):
        return self.thumbnail_url("card")

    @property
    def lead_url(self):
        return self.thumbnail_url("lead")


class ArticleQuerySet(models.QuerySet):
    def published(self):
        """What readers may see: no drafts, and nothing that is scheduled for later."""
        return self.filter(published_at__lte=timezone.now())

    def for_listing(self):
        """With what a line in a list shows."""
        return self.select_related("section", "author", "image")

    def most_read(self, days=7):
        """By reads in the last whole days, yesterday being the last of them."""
        today = timezone.localdate()
        return (
            self.published()
            .filter(daily_reads__day__gte=today - timedelta(days=days), daily_reads__day__lt=today)
            .annotate(reads=models.Sum("daily_reads__reads"))
            .order_by("-reads", "-published_at")
        )


class Article(models.Model):
    """A story. Without a publication time it is a draft; with one in the future it is scheduled."""

    title = models.CharField(max_length=200)
    slug = models.SlugField(max_length=200)
    standfirst = models.TextField(help_text="One or two sentences under the headline.")
    body = models.TextField(help_text="Paragraphs apart by an empty line; “## ” opens a heading, “> ” a quotation.")
    section = models.ForeignKey(Section, on_delete=models.PROTECT, related_name="articles")
    author = models.ForeignKey(Author, on_delete=models.PROTECT, related_name="articles")
    image = models.ForeignKey(Image, on_delete=models.SET_NULL, null=True, blank=True, related_name="articles")
    tags = models.ManyToManyField(Tag, blank=True, related_name="articles")
    related = models.ManyToManyField("self", symmetrical=False, blank=True, related_name="related_from")
    is_lead = models.BooleanField("lead story", default=False, help_text="The newest lead story opens the front page.")
    published_at = models.DateTimeField(null=True, blank=True)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    objects = ArticleQuerySet.as_manager()

    class Meta:
        ordering = ["-published_at", "-pk"]
        indexes = [
            models.Index(fields=["-published_at"], name="article_newest"),
            models.Index(fields=["section", "-published_at"], name="article_newest_in_section"),
        ]

    def __str__(self):
        return self.title

    def save(self, *args, **kwargs):
        self.updated_at = timezone.now()
        super().save(*args, **kwargs)

    def get_absolute_url(self):
        return reverse("articles:article", args=[self.pk, self.slug])

    @property
    def is_published(self):
        return self.published_at is not None and self.published_at <= timezone.now()

    @property
    def reading_minutes(self):
        """At 230 words a minute, what adults read of English prose on average (Brysbaert 2019: 238)."""
        return max(1, round(len(self.body.split()) / 230))

    def related_articles(self, count=3):
        """What the editors chose; where they chose too few, the newest articles that share the most tags."""
        chosen = list(self.related.published().for_listing()[:count])
        if len(chosen) < count:
            similar = (
                Article.objects.published()
                .for_listing()
                .filter(tags__in=self.tags.all())
                .exclude(pk__in=[self.pk, *(article.pk for article in chosen)])
                .annotate(shared_tags=models.Count("tags"))
                .order_by("-shared_tags", "-published_at")
            )
            chosen += similar[: count - len(chosen)]
        return chosen


class DailyReadsManager(models.Manager):
    def add_reader(self, article):
        """Add one reader of today."""
        self.update_or_create(
            article=article,
            day=timezone.localdate(),
            defaults={"reads": models.F("reads") + 1},
            create_defaults={"reads": 1},
        )


class DailyReads(models.Model):
    """How often an article was read on one day."""

    article = models.ForeignKey(Article, on_delete=models.CASCADE, related_name="daily_reads")
    day = models.DateField(db_index=True)
    reads = models.PositiveIntegerField(default=0)

    objects = DailyReadsManager()

    class Meta:
        verbose_name_plural = "daily reads"
        constraints = [models.UniqueConstraint(fields=["article", "day"], name="one_row_per_article_and_day")]

    def __str__(self):
        return f"{self.article_id} on {self.day}: {self.reads}"
