"""What is scheduled is seen nowhere before its time, and everywhere after it."""

from datetime import timedelta
from unittest import mock

from django.utils import timezone

from articles.models import Article, Tag

from .site import SiteTestCase, make_article


class ScheduledPublicationTests(SiteTestCase):
    def setUp(self):
        self.tag = Tag.objects.create(name="Secrets", slug="secrets")
        self.visible = make_article("Seen by all", tags=[self.tag])
        self.scheduled = make_article("Heronry unveiled", hours_ago=-3, tags=[self.tag], is_lead=True)
        self.draft = make_article("Heronry drafted", hours_ago=None, tags=[self.tag])
        self.visible.related.set([self.scheduled, self.draft])
        self.lists = ["/", "/sections/science/", "/tags/secrets/", "/authors/vera-quill/", "/search/?q=heronry", "/feed/"]
        self.lists += ["/sections/science/feed/", self.visible.get_absolute_url()]

    def test_is_invisible_before(self):
        for path in [*self.lists, "/archive/"]:
            with self.subTest(path):
                self.assertNotContains(self.client.get(path), "Heronry")
        self.assertNotContains(self.client.get("/sitemap-articles.xml"), self.scheduled.get_absolute_url())
        for article in (self.scheduled, self.draft):
            self.assertEqual(self.client.get(article.get_absolute_url()).status_code, 404)
            self.assertEqual(self.client.get(f"/story/{article.pk}/read.gif").status_code, 404)

    def test_appears_when_it_is_due_without_anybody_s_doing(self):
        later = timezone.now() + timedelta(hours=4)
        with mock.patch("django.utils.timezone.now", return_value=later):
            for path in self.lists:
                with self.subTest(path):
                    self.assertContains(self.client.get(path), "Heronry unveiled")
            self.assertEqual(self.client.get(self.scheduled.get_absolute_url()).status_code, 200)
            self.assertEqual(self.client.get(self.draft.get_absolute_url()).status_code, 404)

    def test_says_of_itself_whether_it_is_published(self):
        self.assertEqual([a.is_published for a in (self.visible, self.scheduled, self.draft)], [True, False, False])
        self.assertEqual(list(Article.objects.published()), [self.visible])
