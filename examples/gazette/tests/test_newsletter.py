"""From the form to the letter, and out again."""

import re
from datetime import timedelta

from django.core import mail
from django.test import override_settings
from django.utils import timezone

from articles.models import DailyReads
from newsletter.models import Subscription
from newsletter.tasks import mail_confirmation, send_digest_batch, send_weekly_digest

from .site import SiteTestCase, make_article


class JoiningTests(SiteTestCase):
    def join(self, email):
        with self.captureOnCommitCallbacks(execute=True):
            return self.client.post("/newsletter/", {"email": email})

    def test_the_letter_begins_only_when_the_mail_was_answered(self):
        self.assertRedirects(self.join("Ada@Example.org"), "/newsletter/sent/")
        subscription = Subscription.objects.get(email="ada@example.org")
        self.assertIsNone(subscription.confirmed_at)
        link = re.search(r"http://testserver(/newsletter/confirm/\S+)", mail.outbox[0].body)[1]
        self.assertContains(self.client.get(link), "ada@example.org")
        subscription.refresh_from_db()
        self.assertIsNone(subscription.confirmed_at, "A program that follows links must not confirm.")
        self.assertRedirects(self.client.post(link), "/newsletter/welcome/")
        self.assertEqual(list(Subscription.objects.active()), [subscription])

    def test_a_known_address_gets_the_same_answer_and_no_second_letter(self):
        Subscription.objects.create(email="ada@example.org", confirmed_at=timezone.now())
        self.assertRedirects(self.join("ada@example.org"), "/newsletter/sent/")
        self.assertEqual((Subscription.objects.count(), len(mail.outbox)), (1, 0))

    def test_who_did_not_answer_may_ask_again(self):
        self.join("ada@example.org")
        self.join("ada@example.org")
        self.assertEqual((Subscription.objects.count(), len(mail.outbox)), (1, 2))

    def test_what_is_no_address_is_shown_again(self):
        self.assertContains(self.join("nonsense"), "Enter a valid email address.")

    def test_the_footer_s_form_fills_in_the_page_s_form(self):
        self.assertContains(self.client.get("/newsletter/", {"email": "ada@example.org"}), 'value="ada@example.org"')

    def test_leaving_forgets_the_address(self):
        subscription = Subscription.objects.create(email="ada@example.org", confirmed_at=timezone.now())
        path = f"/newsletter/leave/{subscription.token}/"
        self.assertContains(self.client.get(path), "ada@example.org")
        self.assertRedirects(self.client.post(path), "/newsletter/left/")
        self.assertFalse(Subscription.objects.exists())

    def test_a_task_for_an_address_that_left_does_nothing(self):
        mail_confirmation.delay(424242, "http://testserver/")
        self.assertEqual(mail.outbox, [])


@override_settings(SITE_URL="https://gazette.example")
class DigestTests(SiteTestCase):
    def setUp(self):
        self.article = make_article("Herons & herrings", hours_ago=30)
        make_article("Ancient history", hours_ago=24 * 30)
        make_article("Next week's surprise", hours_ago=-2)
        Subscription.objects.create(email="waiting@example.org")
        for k in range(3):
            Subscription.objects.create(email=f"reader{k}@example.org", confirmed_at=timezone.now())

    def test_goes_once_to_everybody_who_confirmed(self):
        send_weekly_digest.delay()
        send_weekly_digest.delay()
        self.assertCountEqual([letter.to[0] for letter in mail.outbox], [f"reader{k}@example.org" for k in range(3)])
        send_digest_batch.delay(list(Subscription.objects.values_list("pk", flat=True)))
        self.assertEqual(len(mail.outbox), 3, "A task that is delivered twice must not mail twice.")

    def test_has_the_week_s_articles_with_whole_addresses_and_a_way_out(self):
        send_weekly_digest.delay()
        letter = mail.outbox[0]
        html = letter.alternatives[0][0]
        self.assertIn("Herons & herrings", letter.body)
        self.assertIn("Herons &amp; herrings", html)
        for text in (letter.body, html):
            self.assertIn(f"https://gazette.example{self.article.get_absolute_url()}", text)
            self.assertIn("https://gazette.example/newsletter/leave/", text)
            self.assertNotIn("Ancient history", text)
            self.assertNotIn("surprise", text)

    def test_what_was_read_most_comes_first(self):
        favourite = make_article("Favourite", hours_ago=100)
        DailyReads.objects.create(article=favourite, day=timezone.localdate() - timedelta(days=1), reads=9)
        send_weekly_digest.delay()
        self.assertEqual(mail.outbox[0].subject, "This week: Favourite")
