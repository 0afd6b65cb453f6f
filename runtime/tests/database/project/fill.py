"""Fills the SQLite project with values that are known to go wrong on the way to another database."""

import datetime
import sqlite3
from decimal import Decimal

import django

django.setup()

from django.conf import settings  # noqa: E402
from django.contrib.auth.models import Group, Permission, User  # noqa: E402
from django.contrib.contenttypes.models import ContentType  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sites.models import Site  # noqa: E402
from library.models import Article, Author, Review, Tag, Tagging  # noqa: E402

Site.objects.update(domain="example.org", name="Ejemplo")
Group.objects.filter(name="editors").update(name="editoras")
# Keys of content types differ from those that a fresh migrate gives: an application came and went.
ContentType.objects.create(app_label="gone", model="thing")
moved = ContentType.objects.get(app_label="library", model="tag")
Permission.objects.filter(content_type=moved).delete()
moved.delete()
replacement = ContentType.objects.create(app_label="library", model="tag")
for action in ("add", "change", "delete", "view"):
    Permission.objects.create(content_type=replacement, codename=f"{action}_tag", name=f"Can {action} tag")
member = User.objects.create_user("ana", "ana@example.org", "pass word")
member.groups.add(Group.objects.get())
member.user_permissions.add(Permission.objects.get(codename="view_tag"))
session = SessionStore()
session["cart"] = [1, 2]
session.create()

utc = datetime.UTC
full = Author.objects.create(
    name="María José Ñandú ☃",
    email="m@example.org",
    website="https://example.org/?a=1&b='2'",
    wants_mail=False,
    is_active=False,
    born=datetime.date(1, 1, 1),
    rises=datetime.time(6, 30, 0, 123456),
    last_seen=datetime.datetime(2024, 3, 31, 1, 30, 0, 999999, tzinfo=utc),
    record=-datetime.timedelta(days=3, microseconds=7),
    rating=Decimal("1234.500"),
    score=0.1 + 0.2,
    followers=2**63 - 1,
    rank=-32768,
    visits=2**31 - 1,
    address="2001:db8::1",
    preferences={"a": [1, None, {"ü": "\\ \"'\t\n"}], "t": True, "n": 0.1},
    extra=[],
    photo="photos/m.jpg",
    key=bytes(range(256)),
)
Author.objects.filter(pk=full.pk).update(
    changed=datetime.datetime(2001, 1, 1, tzinfo=utc), created=datetime.datetime(1999, 12, 31, tzinfo=utc)
)
empty = Author.objects.create(name="")
Tag.objects.bulk_create(Tag(slug=slug) for slug in ("a", "b-c"))
first = Article.objects.create(author=full, title="tab\tand \\N and \\. and ß", body="line\nline\r\nend\\", number=3)
second = Review.objects.create(author=empty, parent=first, title="", body="\u00e9" * 70000, stars=5)
first.related.add(second)
Tagging.objects.create(article=first, tag_id="b-c", weight=-1)
Article.objects.bulk_create(Article(author=full, title=f"n{n}", body="") for n in range(5000))
Article.objects.filter(title__in=["n0", "n4999"]).delete()

with sqlite3.connect(settings.DATABASES["default"]["NAME"]) as raw:
    # A JSON null is not a missing value; and a table that no model describes.
    raw.execute("UPDATE library_author SET extra = 'null' WHERE name = ''")
    raw.execute("CREATE TABLE counters (name text, hits integer)")
    raw.execute("INSERT INTO counters VALUES ('home', 12)")
