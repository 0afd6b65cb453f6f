"""What editors can do at /desk/, and what only others can."""

from django.contrib import admin
from django.urls import reverse
from django.utils import timezone

from articles.models import Article, Image
from comments.models import Comment
from members.editors import ensure_editors_group
from newsletter.models import Subscription

from .site import SiteTestCase, make_article, make_author, make_member, make_section, make_upload


class EditorTests(SiteTestCase):
    def setUp(self):
        self.editor = make_member("editor", is_staff=True)
        self.editor.groups.add(ensure_editors_group())
        self.client.force_login(self.editor)

    def test_an_editor_writes_and_schedules_an_article(self):
        form = {
            "title": "Fresh ink",
            "slug": "fresh-ink",
            "standfirst": "It smells.",
            "body": "Of linseed.",
            "section": make_section().pk,
            "author": make_author().pk,
            "published_at_0": "2099-01-01",
            "published_at_1": "06:00:00",
        }
        response = self.client.post(reverse("admin:articles_article_add"), form)
        self.assertRedirects(response, reverse("admin:articles_article_changelist"))
        self.assertFalse(Article.objects.get().is_published)

    def test_an_editor_publishes_a_draft_and_removes_a_comment(self):
        draft = make_article("Draft", hours_ago=None)
        action = {"action": "publish_now", "_selected_action": [draft.pk]}
        self.client.post(reverse("admin:articles_article_changelist"), action)
        draft.refresh_from_db()
        self.assertTrue(draft.is_published)
        comment = Comment.objects.create(article=draft, member=self.editor, body="Rude")
        self.client.post(reverse("admin:comments_comment_changelist"), {"action": "remove", "_selected_action": [comment.pk]})
        self.assertFalse(Comment.objects.visible().exists())

    def test_an_upload_is_in_the_list_with_its_thumbnail(self):
        form = {"file": make_upload(), "description": "A square", "credit": ""}
        with self.captureOnCommitCallbacks(execute=True):
            self.client.post(reverse("admin:articles_image_add"), form)
        self.assertContains(self.client.get(reverse("admin:articles_image_changelist")), Image.objects.get().card_url)

    def test_accounts_are_looked_at_and_not_changed(self):
        self.assertEqual(self.client.get(reverse("admin:members_member_changelist")).status_code, 200)
        self.assertEqual(self.client.get(reverse("admin:members_member_add")).status_code, 403)

    def test_lists_filter_by_state(self):
        make_article("Seen"), make_article("Coming", hours_ago=-4), make_article("Sketch", hours_ago=None)
        for state, title in [("published", "Seen"), ("scheduled", "Coming"), ("draft", "Sketch")]:
            page = self.client.get(reverse("admin:articles_article_changelist"), {"state": state})
            self.assertEqual([article.title for article in page.context["cl"].result_list], [title])


class DeskTests(SiteTestCase):
    def test_readers_are_turned_away(self):
        self.client.force_login(make_member())
        self.assertEqual(self.client.get("/desk/").status_code, 302)
        self.assertEqual(self.client.get("/admin/").status_code, 404)

    def test_every_list_and_form_opens(self):
        member = make_member(is_staff=True, is_superuser=True)
        article = make_article()
        Comment.objects.create(article=article, member=member, body="x" * 99)
        Subscription.objects.create(email="a@example.org", confirmed_at=timezone.now())
        member.saved_articles.create(article=article)
        article.daily_reads.create(day=timezone.localdate(), reads=1)
        self.client.force_login(member)
        for model in admin.site._registry:
            name = f"{model._meta.app_label}_{model._meta.model_name}"
            with self.subTest(name):
                self.assertEqual(self.client.get(reverse(f"admin:{name}_changelist"), {"q": "a"}).status_code, 200)
                if row := model.objects.first():
                    self.assertEqual(self.client.get(reverse(f"admin:{name}_change", args=[row.pk])).status_code, 200)
