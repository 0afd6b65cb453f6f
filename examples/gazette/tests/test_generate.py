"""`manage.py generate` at its smallest: whole, skewed, the same by seed, and careful with what is there."""

from collections import Counter
from io import StringIO

from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from django.utils import timezone

from articles.models import Article, DailyReads, Image, Section, Tag
from comments.models import Comment
from members.models import Member, SavedArticle
from newsletter.models import Subscription
from sampledata.chances import draw_skewed
from sampledata.progress import Progress
from sampledata.readership import READERS_PASSWORD
from sampledata.scale import SCALES

from .site import SiteTestCase, make_article, make_member


def generate(**options):
    output = StringIO()
    call_command("generate", scale="tiny", stdout=output, **options)
    return output.getvalue()


def take_fingerprint():
    """What a reader could tell apart."""
    return (
        list(
            Article.objects.order_by("pk").values_list(
                "title", "body", "section__slug", "author__name", "published_at", "is_lead"
            )
        ),
        list(Comment.objects.order_by("pk").values_list("article__title", "member__username", "body", "created_at")),
        list(Article.tags.through.objects.order_by("article_id", "tag_id").values_list("article_id", "tag__name")),
        list(Subscription.objects.order_by("email").values_list("email", "token", "confirmed_at")),
        list(DailyReads.objects.order_by("article_id", "day").values_list("article_id", "day", "reads")),
    )


class GeneratedSiteTests(SiteTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.output = generate(editor_password="a-password-for-the-desk")

    def test_has_as_much_as_was_asked_for(self):
        scale = SCALES["tiny"]
        self.assertEqual(Article.objects.count(), scale.articles)
        self.assertEqual(Comment.objects.count(), scale.comments)
        self.assertEqual(Member.objects.filter(is_staff=False).count(), scale.members)
        self.assertEqual(Subscription.objects.count(), scale.subscriptions)
        self.assertGreater(SavedArticle.objects.count(), 0)
        self.assertIn("Done in", self.output)
        self.assertNotIn("a-password-for-the-desk", self.output)

    def test_some_articles_wait_for_the_next_days(self):
        self.assertGreaterEqual(Article.objects.filter(published_at__gt=timezone.now()).count(), 4)

    def test_pages_of_it_can_be_read(self):
        article = Article.objects.published().first()
        member = Comment.objects.first().member
        paths = [
            "/",
            article.get_absolute_url(),
            article.section.get_absolute_url(),
            member.get_absolute_url(),
            "/archive/",
            "/feed/",
        ]
        for path in [*paths, article.author.get_absolute_url(), Tag.objects.filter(articles=article).first().get_absolute_url()]:
            with self.subTest(path):
                page = self.client.get(path)
                self.assertEqual(page.status_code, 200)
                self.assertNotIn("{", "".join(Article.objects.values_list("title", flat=True)))

    def test_no_sentence_has_a_gap(self):
        for text in [*Article.objects.values_list("body", flat=True), *Comment.objects.values_list("body", flat=True)]:
            self.assertNotRegex(text, r"[{}]")
            self.assertTrue(text.strip())
            self.assertTrue(all(text.split("\n\n")))

    def test_pictures_and_thumbnails_are_there(self):
        image = Image.objects.first()
        self.assertTrue(default_storage.exists(image.file.name))
        self.assertTrue(default_storage.exists(image.lead_url.removeprefix("/media/")))

    def test_editor_and_members_can_log_in(self):
        self.assertTrue(self.client.login(username="editor", password="a-password-for-the-desk"))
        self.assertEqual(self.client.get("/desk/articles/article/").status_code, 200)
        reader = Member.objects.filter(is_staff=False).first()
        self.assertTrue(self.client.login(username=reader.username, password=READERS_PASSWORD))

    def test_comments_come_after_their_article(self):
        for comment in Comment.objects.select_related("article"):
            self.assertGreaterEqual(
                comment.created_at.replace(microsecond=0), comment.article.published_at.replace(microsecond=0)
            )

    def test_the_site_goes_on_after_it(self):
        make_article("Written by hand", section=Section.objects.first())
        make_member("by.hand")
        self.assertContains(self.client.get("/"), "Written by hand")

    def test_a_site_with_content_is_left_alone(self):
        before = take_fingerprint()
        with self.assertRaisesMessage(CommandError, "The site is not empty: it has 120 articles"):
            generate()
        self.assertEqual(take_fingerprint(), before)

    def test_if_empty_leaves_a_site_with_content_without_an_error(self):
        before = Article.objects.count()
        self.assertIn("keeps what it holds", generate(if_empty=True))
        self.assertEqual(Article.objects.count(), before)

    def test_replacing_keeps_the_staff_and_gives_the_same_magazine_for_the_same_seed(self):
        before = take_fingerprint()
        make_article("Written by hand")
        boss = make_member("boss", is_staff=True)
        output = generate(replace=True, yes=True)
        self.assertIn("(shown only now)", output)
        self.assertTrue(Member.objects.filter(pk=boss.pk).exists())
        self.assertEqual(take_fingerprint(), before)
        generate(replace=True, yes=True, seed=2)
        self.assertNotEqual(take_fingerprint()[0], before[0])


class SkewTests(SiteTestCase):
    def test_few_have_much_and_many_have_little(self):
        import random

        drawn = Counter(draw_skewed(random.Random(1), 20_000, 200_000))
        top_tenth = sum(count for index, count in drawn.items() if index < 2_000)
        self.assertGreater(top_tenth / 200_000, 0.5)
        self.assertLess(drawn[0] / 200_000, 0.02)


class ProgressTests(SiteTestCase):
    def run_stage(self, is_terminal):
        stream, ticks = StringIO(), iter(range(0, 1000, 10))
        with Progress(stream, is_terminal, clock=lambda: next(ticks)).stage("articles", 40) as advance:
            for _ in range(4):
                advance(10)
        return stream.getvalue()

    def test_is_one_live_line_on_a_terminal(self):
        shown = self.run_stage(is_terminal=True)
        self.assertEqual(shown.count("\n"), 1)
        self.assertIn("\r\x1b[2K  articles                 20 of 40 (50%)", shown)

    def test_is_plain_lines_elsewhere(self):
        shown = self.run_stage(is_terminal=False)
        self.assertNotIn("\x1b", shown)
        self.assertEqual(shown.splitlines()[0], "  articles                 20 of 40 (50%)  20 s")
