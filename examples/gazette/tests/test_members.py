"""Joining, logging in and out, keeping articles, and what others see of a member."""

import re

from django.core import mail
from django.urls import reverse

from comments.models import Comment
from members.models import Member, SavedArticle

from .site import SiteTestCase, make_article, make_member

PASSWORD = "correct-horse-battery"


class AccountTests(SiteTestCase):
    def register(self, **changes):
        form = {
            "display_name": "Ada Pike",
            "username": "ada",
            "email": "ada@example.org",
            "password1": PASSWORD,
            "password2": PASSWORD,
        }
        return self.client.post("/account/register/", form | changes)

    def test_a_reader_registers_logs_out_and_logs_in_again(self):
        self.assertRedirects(self.register(), "/account/")
        self.assertContains(self.client.get("/"), "Ada Pike")
        self.assertRedirects(self.client.post("/account/logout/"), "/")
        self.assertContains(self.client.get("/"), "Log in")
        self.assertRedirects(self.client.post("/account/login/", {"username": "ada", "password": PASSWORD}), "/account/")

    def test_a_taken_address_and_a_weak_password_are_refused(self):
        make_member("ada")
        page = self.register(username="other", password1="12345", password2="12345")
        self.assertContains(page, "already exists")
        self.assertContains(page, "too short")
        self.assertEqual(Member.objects.count(), 1)

    def test_logging_in_leads_back_to_where_one_was(self):
        make_member("ada")
        article = make_article()
        form = {"username": "ada", "password": "a-long-password", "next": article.get_absolute_url()}
        self.assertRedirects(self.client.post("/account/login/", form), article.get_absolute_url())

    def test_a_member_changes_how_others_see_them(self):
        self.client.force_login(make_member("ada"))
        self.client.post("/account/", {"display_name": "Ada P.", "email": "ada@example.org", "about": "Counts birds."})
        self.assertContains(self.client.get("/members/ada/"), "Counts birds.")

    def test_a_forgotten_password_is_replaced_by_mail(self):
        make_member("ada")
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post("/account/password/forgotten/", {"email": "ada@example.org"})
        link = re.search(r"http://testserver(\S+)", mail.outbox[0].body)[1]
        page = self.client.get(link, follow=True)
        form = {"new_password1": PASSWORD, "new_password2": PASSWORD}
        self.assertRedirects(self.client.post(page.redirect_chain[-1][0], form), "/account/login/")
        self.assertTrue(self.client.login(username="ada", password=PASSWORD))

    def test_an_unknown_address_gets_the_same_answer_and_no_mail(self):
        with self.captureOnCommitCallbacks(execute=True):
            response = self.client.post("/account/password/forgotten/", {"email": "nobody@example.org"})
        self.assertRedirects(response, "/account/password/sent/")
        self.assertEqual(mail.outbox, [])


class SavingTests(SiteTestCase):
    def setUp(self):
        self.article = make_article()
        self.member = make_member()
        self.path = reverse("members:toggle-saved", args=[self.article.pk])

    def test_an_article_is_saved_and_taken_off_again(self):
        self.client.force_login(self.member)
        self.assertContains(self.client.get(self.article.get_absolute_url()), "☆ Save")
        self.client.post(self.path)
        self.assertContains(self.client.get(self.article.get_absolute_url()), "★ Saved")
        self.assertContains(self.client.get("/account/saved/"), self.article.title)
        self.client.post(self.path)
        self.assertFalse(SavedArticle.objects.exists())

    def test_the_reading_list_is_its_owner_s_alone(self):
        SavedArticle.objects.create(member=make_member(), article=self.article)
        self.client.force_login(self.member)
        self.assertNotContains(self.client.get("/account/saved/"), self.article.title)

    def test_strangers_are_asked_to_log_in(self):
        for path in ["/account/saved/", "/account/"]:
            self.assertRedirects(self.client.get(path), f"/account/login/?next={path}")
        self.assertEqual(self.client.post(self.path).status_code, 302)
        self.assertFalse(SavedArticle.objects.exists())

    def test_saving_is_not_done_by_following_a_link(self):
        self.client.force_login(self.member)
        self.assertEqual(self.client.get(self.path).status_code, 405)


class MemberPageTests(SiteTestCase):
    def test_shows_what_a_member_said(self):
        member = make_member("ada", about="Counts birds.")
        Comment.objects.create(article=make_article(), member=member, body="Forty-two herons.")
        page = self.client.get("/members/ada/")
        self.assertContains(page, "Forty-two herons.")
        self.assertNotContains(page, "ada@example.org")

    def test_who_was_shut_out_has_no_page(self):
        make_member("ada", is_active=False)
        self.assertEqual(self.client.get("/members/ada/").status_code, 404)
