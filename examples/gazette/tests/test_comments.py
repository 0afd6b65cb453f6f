"""Members comment; others read."""

from django.test import Client
from django.urls import reverse

from comments.models import Comment

from .site import SiteTestCase, make_article, make_member


class CommentTests(SiteTestCase):
    def setUp(self):
        self.article = make_article()
        self.member = make_member("ada", display_name="Ada Pike")
        self.path = reverse("comments:post", args=[self.article.pk])

    def test_a_member_comments_and_everybody_reads_it(self):
        self.client.force_login(self.member)
        response = self.client.post(self.path, {"body": "Two herons & a <cat>."})
        comment = Comment.objects.get()
        self.assertRedirects(response, comment.get_absolute_url())
        page = Client().get(self.article.get_absolute_url())
        self.assertContains(page, "Two herons &amp; a &lt;cat&gt;.")
        self.assertContains(page, "Ada Pike")
        self.assertContains(page, "1 comment")

    def test_others_are_asked_to_log_in(self):
        self.assertRedirects(self.client.post(self.path, {"body": "Me too"}), f"{reverse('members:login')}?next={self.path}")
        self.assertFalse(Comment.objects.exists())
        self.assertNotContains(self.client.get(self.article.get_absolute_url()), "<textarea")

    def test_an_empty_comment_is_shown_again_with_what_is_wrong(self):
        self.client.force_login(self.member)
        self.assertContains(self.client.post(self.path, {"body": " "}), "This field is required.")
        self.assertFalse(Comment.objects.exists())

    def test_nobody_comments_on_what_is_not_published(self):
        self.client.force_login(self.member)
        draft = make_article("Draft", hours_ago=None)
        self.assertEqual(self.client.post(reverse("comments:post", args=[draft.pk]), {"body": "Hm"}).status_code, 404)

    def test_a_form_of_another_site_is_refused(self):
        client = Client(enforce_csrf_checks=True)
        client.force_login(self.member)
        self.assertContains(client.post(self.path, {"body": "Forged"}), "Please try once more", status_code=403)
        self.assertFalse(Comment.objects.exists())

    def test_what_the_editors_removed_is_gone_from_the_site(self):
        Comment.objects.create(article=self.article, member=self.member, body="Rude words", is_removed=True)
        self.assertNotContains(self.client.get(self.article.get_absolute_url()), "Rude words")
        self.assertNotContains(self.client.get(self.member.get_absolute_url()), "Rude words")

    def test_many_comments_come_in_pages_the_newest_first(self):
        for k in range(45):
            Comment.objects.create(article=self.article, member=self.member, body=f"Remark {k:02}")
        first = self.client.get(self.article.get_absolute_url())
        self.assertContains(first, "Remark 44")
        self.assertNotContains(first, "Remark 04")
        self.assertContains(self.client.get(self.article.get_absolute_url(), {"comments": 2}), "Remark 04")
