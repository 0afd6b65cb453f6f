"""A comment, and which comments are shown."""

from django.conf import settings
from django.db import models
from django.utils import timezone


class CommentQuerySet(models.QuerySet):
    def visible(self):
        """Without what the editors removed."""
        return self.filter(is_removed=False)


class Comment(models.Model):
    """What one member says under one article."""

    article = models.ForeignKey("articles.Article", on_delete=models.CASCADE, related_name="comments")
    member = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="comments")
    body = models.TextField("your comment", max_length=3000)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    is_removed = models.BooleanField("removed", default=False, help_text="Readers see it no longer; it is kept here.")

    objects = CommentQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [models.Index(fields=["article", "-created_at"], name="comment_newest_of_article")]

    def __str__(self):
        return f"{self.body[:60]}…" if len(self.body) > 60 else self.body

    def get_absolute_url(self):
        return f"{self.article.get_absolute_url()}#comment-{self.pk}"
