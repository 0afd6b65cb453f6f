"""Finding articles by words, on whichever database the tests run."""

from unittest import skipUnless

from django.db import connection

from articles.models import Article
from articles.search import search_articles

from .site import SiteTestCase, make_article


class SearchTests(SiteTestCase):
    def setUp(self):
        self.in_title = make_article("Swifts above the roofs", hours_ago=90)
        self.in_body = make_article("An evening", body="We counted swifts until it was dark.", hours_ago=1)
        make_article("Bread")

    def find(self, words):
        return list(self.client.get("/search/", {"q": words}).context["articles"])

    def test_finds_words_in_headline_and_text(self):
        self.assertCountEqual(self.find("swifts"), [self.in_title, self.in_body])
        self.assertEqual(self.find("swifts dark"), [self.in_body])
        self.assertEqual(self.find("penguins"), [])

    def test_says_what_was_looked_for_and_how_much_was_found(self):
        page = self.client.get("/search/", {"q": '"roofs" <i>'})
        self.assertContains(page, "for “&quot;roofs&quot; &lt;i&gt;”")
        self.assertContains(self.client.get("/search/", {"q": "nothing-at-all"}), "Nothing matches")

    def test_odd_questions_are_answered(self):
        for words in ["", "   ", "\x00", "'; --", "a" * 101, "-", '"', "&|!()", "%", "or and not"]:
            with self.subTest(words):
                self.assertEqual(self.client.get("/search/", {"q": words}).status_code, 200)

    @skipUnless(connection.vendor == "postgresql", "full-text search is PostgreSQL's")
    def test_knows_forms_of_words_and_ranks_headlines_first(self):
        self.assertEqual(self.find("swift"), [self.in_title, self.in_body])
        self.assertEqual(self.find('"counted swifts"'), [self.in_body])
        self.assertEqual(self.find("swift -roof"), [self.in_body])

    @skipUnless(connection.vendor == "postgresql", "the index is PostgreSQL's")
    def test_the_index_is_on_what_is_searched(self):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
        # Without the order and the date, so that the planner has no other index to prefer.
        plan = search_articles(Article.objects.order_by(), "swifts").explain()
        self.assertIn("article_search", plan)
