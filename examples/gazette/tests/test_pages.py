"""What readers see on the pages that list and show articles."""

from datetime import timedelta

from django.test import override_settings
from django.urls import reverse
from django.utils import timezone

from articles.models import Article, DailyReads, Tag

from .site import SiteTestCase, make_article, make_author, make_section


class EmptySiteTests(SiteTestCase):
    def test_pages_work_before_anything_is_published(self):
        make_section()
        for path in ["/", "/sections/science/", "/archive/", "/search/", "/feed/", "/sitemap.xml", "/sitemap-articles.xml"]:
            with self.subTest(path):
                self.assertEqual(self.client.get(path).status_code, 200)


class FrontTests(SiteTestCase):
    def test_the_newest_lead_story_opens_the_page(self):
        make_article("Old lead", is_lead=True, hours_ago=9)
        lead = make_article("New lead", is_lead=True, hours_ago=5)
        newest = make_article("Newest of all", hours_ago=1)
        page = self.client.get("/")
        self.assertEqual(page.context["lead"], lead)
        self.assertEqual(page.context["latest"][0], newest)
        self.assertContains(page, "Newest of all")

    def test_no_article_is_shown_as_lead_and_again_below(self):
        article = make_article()
        page = self.client.get("/")
        self.assertEqual(page.context["lead"], article)
        self.assertNotIn(article, [other for _, articles in page.context["sections"] for other in articles])

    def test_most_read_counts_whole_days_of_the_last_week(self):
        today = timezone.localdate()
        popular, quiet, forgotten = make_article("Popular"), make_article("Quiet"), make_article("Forgotten")
        for article, days_ago, reads in [
            (popular, 1, 30),
            (popular, 2, 30),
            (quiet, 3, 50),
            (quiet, 0, 900),
            (forgotten, 20, 900),
        ]:
            DailyReads.objects.create(article=article, day=today - timedelta(days=days_ago), reads=reads)
        self.assertEqual(list(self.client.get("/").context["most_read"]), [popular, quiet])

    def test_tags_are_larger_the_more_articles_they_have(self):
        rivers, towns = Tag.objects.create(name="Rivers", slug="rivers"), Tag.objects.create(name="Towns", slug="towns")
        Tag.objects.create(name="Unused", slug="unused")
        for k in range(4):
            make_article(f"Story {k}", tags=[rivers, towns] if k == 0 else [rivers])
        sizes = {tag.name: tag.size for tag in self.client.get("/").context["tags"]}
        self.assertEqual(sizes, {"Rivers": 5, "Towns": 1})


class ArticleTests(SiteTestCase):
    def test_shows_the_text_as_paragraphs_headings_and_quotations(self):
        article = make_article(body="First <b>words</b>.\n\n## A heading\n\n> Said she.")
        page = self.client.get(article.get_absolute_url())
        self.assertContains(page, "<p>First &lt;b&gt;words&lt;/b&gt;.</p>", html=True)
        self.assertContains(page, "<h2>A heading</h2>", html=True)
        self.assertContains(page, "<blockquote><p>Said she.</p></blockquote>", html=True)

    def test_an_old_address_leads_to_the_present_one(self):
        article = make_article()
        response = self.client.get(reverse("articles:article", args=[article.pk, "as-it-was-called"]))
        self.assertRedirects(response, article.get_absolute_url(), status_code=301)

    def test_related_are_the_chosen_ones_and_then_those_that_share_most_tags(self):
        first, second = Tag.objects.create(name="One", slug="one"), Tag.objects.create(name="Two", slug="two")
        article = make_article("This", tags=[first, second])
        chosen = make_article("Chosen")
        one_shared = make_article("One shared", tags=[first], hours_ago=1)
        two_shared = make_article("Two shared", tags=[first, second], hours_ago=50)
        make_article("Not related")
        article.related.set([chosen])
        self.assertEqual(article.related_articles(), [chosen, two_shared, one_shared])

    def test_the_picture_at_the_end_counts_readers(self):
        article = make_article()
        for _ in range(3):
            response = self.client.get(reverse("articles:reader", args=[article.pk]))
            self.assertEqual(response["Content-Type"], "image/gif")
        self.assertEqual(DailyReads.objects.get(article=article, day=timezone.localdate()).reads, 3)


class ListTests(SiteTestCase):
    @classmethod
    def setUpTestData(cls):
        cls.tag = Tag.objects.create(name="Birds", slug="birds")
        for k in range(20):
            make_article(f"Story {k}", hours_ago=k + 1, tags=[cls.tag])
        make_article("Elsewhere", section=make_section("Food"), author=make_author("Sven Dahl"))

    def test_sections_tags_and_authors_have_pages_of_their_articles(self):
        for path in ["/sections/science/", "/tags/birds/", "/authors/vera-quill/"]:
            with self.subTest(path):
                first, second = self.client.get(path), self.client.get(path, {"page": 2})
                self.assertContains(first, "Page 1 of 2")
                self.assertNotContains(first, "Elsewhere")
                self.assertEqual(len(first.context["articles"]) + len(second.context["articles"]), 20)

    def test_what_does_not_exist_is_not_found(self):
        for path in [
            "/sections/none/",
            "/tags/none/",
            "/authors/none/",
            "/sections/science/?page=99",
            "/story/999999/x/",
            "/members/none/",
        ]:
            with self.subTest(path):
                self.assertEqual(self.client.get(path).status_code, 404)

    def test_the_archive_leads_to_months(self):
        newest = Article.objects.first().published_at
        path = reverse("articles:month", args=[newest.year, newest.month])
        self.assertContains(self.client.get("/archive/"), path)
        self.assertContains(self.client.get(path), Article.objects.first().title)

    def test_feeds_list_the_newest_articles(self):
        self.assertContains(self.client.get("/feed/"), "<title>Elsewhere</title>")
        self.assertNotContains(self.client.get("/sections/science/feed/"), "Elsewhere")

    def test_the_sitemap_and_robots_name_the_site_as_it_was_asked_for(self):
        article = Article.objects.first()
        self.assertContains(self.client.get("/sitemap.xml"), "http://testserver/sitemap-articles.xml")
        self.assertContains(self.client.get("/sitemap-articles.xml"), f"http://testserver{article.get_absolute_url()}")
        self.assertContains(self.client.get("/robots.txt"), "Sitemap: http://testserver/sitemap.xml")


class OwnErrorPageTests(SiteTestCase):
    @override_settings(DEBUG=False)
    def test_not_found_is_said_in_the_site_s_own_words(self):
        self.assertContains(self.client.get("/nowhere/"), "This page is missing", status_code=404)

    def test_pages_for_a_broken_site_need_no_context(self):
        from django.template.loader import get_template

        for name in ["500.html", "503.html", "403_csrf.html"]:
            with self.subTest(name):
                page = get_template(name).render()
                self.assertIn("The Gazette", page)
                self.assertNotIn("/static/", page)
