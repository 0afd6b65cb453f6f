"""A small site for tests: where uploads go, and how its articles and people come to be."""

import tempfile
from datetime import timedelta
from io import BytesIO
from itertools import count

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import TestCase, override_settings
from django.utils import timezone
from django.utils.text import slugify
from PIL import Image as Picture

from articles.models import Article, Author, Section
from members.models import Member

numbers = count(1)


class SiteTestCase(TestCase):
    """Keeps uploads in a directory that goes away with the tests."""

    @classmethod
    def setUpClass(cls):
        directory = tempfile.TemporaryDirectory(prefix="gazette-media-")
        cls.addClassCleanup(directory.cleanup)
        cls.enterClassContext(override_settings(MEDIA_ROOT=directory.name))
        super().setUpClass()


def make_section(name="Science"):
    return Section.objects.get_or_create(name=name, defaults={"slug": slugify(name)})[0]


def make_author(name="Vera Quill"):
    return Author.objects.get_or_create(name=name, defaults={"slug": slugify(name)})[0]


def make_article(title="A heron in the harbour", *, hours_ago=1, tags=(), **values):
    """A published article; with negative `hours_ago` a scheduled one, with None a draft."""
    values.setdefault("section", make_section())
    values.setdefault("author", make_author())
    values.setdefault("standfirst", "It stands there every morning.")
    values.setdefault("body", "Nobody knows why.\n\nIt does not say.")
    published_at = None if hours_ago is None else timezone.now() - timedelta(hours=hours_ago)
    article = Article.objects.create(title=title, slug=slugify(title), published_at=published_at, **values)
    article.tags.set(tags)
    return article


def make_member(username=None, **values):
    username = username or f"member{next(numbers)}"
    values.setdefault("display_name", username.title())
    return Member.objects.create_user(username, f"{username}@example.org", "a-long-password", **values)


def make_upload(colour="navy", name="picture.png", size=(900, 900)):
    data = BytesIO()
    Picture.new("RGB", size, colour).save(data, "PNG")
    return SimpleUploadedFile(name, data.getvalue(), content_type="image/png")
