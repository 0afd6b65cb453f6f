"""The member, and the articles a member keeps."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.urls import reverse
from django.utils import timezone


class Member(AbstractUser):
    """An account: a reader's or an editor's."""

    email = models.EmailField("email address", unique=True)
    display_name = models.CharField(max_length=80, help_text="Shown beside your comments.")
    about = models.TextField("about you", max_length=500, blank=True)

    REQUIRED_FIELDS = ["email", "display_name"]

    class Meta(AbstractUser.Meta):
        verbose_name = "member"
        verbose_name_plural = "members"

    def __str__(self):
        return self.display_name or self.username

    def get_absolute_url(self):
        return reverse("members:member", args=[self.username])


class SavedArticle(models.Model):
    """One article on one member's reading list."""

    member = models.ForeignKey(Member, on_delete=models.CASCADE, related_name="saved_articles")
    article = models.ForeignKey("articles.Article", on_delete=models.CASCADE, related_name="saved_by")
    saved_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-saved_at"]
        constraints = [models.UniqueConstraint(fields=["member", "article"], name="saved_once_per_member")]

    def __str__(self):
        return f"{self.article_id} kept by {self.member_id}"
