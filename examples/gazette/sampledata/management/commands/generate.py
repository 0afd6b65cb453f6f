"""`manage.py generate`: fill an empty site with a made-up magazine."""

import secrets
import sys
import time
from datetime import UTC, datetime

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, transaction

from articles.models import Article, Author, Section
from comments.models import Comment
from members.editors import ensure_editors_group
from members.models import Member
from newsletter.models import Subscription
from sampledata.loading import empty_tables
from sampledata.magazine import MODELS, write_magazine
from sampledata.progress import Progress
from sampledata.readership import READERS_PASSWORD
from sampledata.scale import SCALES

EDITOR = "editor"


class Command(BaseCommand):
    help = (
        "Fill the site with a made-up magazine. Example: manage.py generate --scale small. "
        "The same seed gives the same magazine, seen from the same day."
    )

    def add_arguments(self, parser):
        parser.add_argument("--scale", choices=SCALES, default="small", help="how much (default: small, 2,000 articles)")
        parser.add_argument("--seed", type=int, default=1, metavar="N", help="another number gives another magazine (default: 1)")
        parser.add_argument(
            "--editor-password", metavar="PASSWORD", help=f"of the account “{EDITOR}” (default: one is made and printed)"
        )
        parser.add_argument("--replace", action="store_true", help="delete what is there first; accounts of the staff stay")
        parser.add_argument("--yes", action="store_true", help="with --replace: do not ask")
        parser.add_argument("--if-empty", action="store_true", help="leave a site that holds something as it is")

    def handle(self, *, scale, seed, editor_password, replace, yes, if_empty, **options):
        began = time.monotonic()
        try:
            found = self._describe_content()
        except DatabaseError as error:
            raise CommandError(f"The tables could not be read ({error}). Run `manage.py migrate` first.") from error
        if found and if_empty:
            self.stdout.write(f"The site keeps what it holds: {found}.")
            return
        if found:
            self._confirm_replacing(found, replace, yes)
        progress = Progress(self.stdout, is_terminal=self.stdout.isatty())
        # What was there goes in the same transaction in which the new comes: an error leaves the old magazine.
        with transaction.atomic():
            if found:
                with progress.stage("emptying"):
                    empty_tables(MODELS)
                    Member.objects.filter(is_staff=False).delete()
            write_magazine(SCALES[scale], seed, datetime.now(UTC).date(), progress)
            password = self._create_editor(editor_password)
        self.stdout.write(f"Done in {time.monotonic() - began:.0f} s: {self._describe_content()}.")
        self.stdout.write(
            f"Desk: /desk/ as “{EDITOR}”" + ("." if editor_password else f", password {password} (shown only now).")
        )
        reader = Member.objects.filter(is_staff=False).order_by("pk").values_list("username", flat=True).first()
        self.stdout.write(f"Members, for example “{reader}”, have the password {READERS_PASSWORD}.")

    def _describe_content(self):
        """What the site holds, in words; empty when it holds nothing that a person would miss."""
        counts = {
            "articles": Article.objects.count(),
            "sections": Section.objects.count(),
            "authors": Author.objects.count(),
            "comments": Comment.objects.count(),
            "members": Member.objects.filter(is_staff=False).count(),
            "newsletter subscriptions": Subscription.objects.count(),
        }
        return ", ".join(f"{count:,} {name}" for name, count in counts.items() if count)

    def _confirm_replacing(self, found, replace, yes):
        if not replace:
            raise CommandError(f"The site is not empty: it has {found}. To delete all of it first, add --replace.")
        if yes:
            return
        if not sys.stdin.isatty():
            raise CommandError(f"--replace would delete {found}, and there is nobody to ask. Add --yes if that is what you want.")
        if input(f"This deletes {found}. Type “replace” to go on: ") != "replace":
            raise CommandError("Nothing was changed.")

    def _create_editor(self, password):
        password = password or secrets.token_urlsafe(12)
        editor, _ = Member.objects.get_or_create(
            username=EDITOR, defaults={"email": "editor@gazette.example", "display_name": "The Editor"}
        )
        editor.is_staff = True
        editor.set_password(password)
        editor.save()
        editor.groups.add(ensure_editors_group())
        return password
