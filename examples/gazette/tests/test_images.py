"""An upload gets its thumbnails in the background; until then the original is shown."""

from django.core.files.storage import default_storage
from PIL import Image as Picture

from articles.models import Image
from articles.tasks import make_thumbnails
from articles.thumbnails import SIZES, thumbnail_name

from .site import SiteTestCase, make_article, make_upload


class ThumbnailTests(SiteTestCase):
    def test_the_original_is_shown_until_the_thumbnails_are_made(self):
        with self.captureOnCommitCallbacks() as callbacks:
            image = Image.objects.create(file=make_upload(), description="A blue square")
        article = make_article(image=image)
        self.assertContains(self.client.get(article.get_absolute_url()), image.file.url)
        for callback in callbacks:
            callback()
        page = self.client.get(article.get_absolute_url())
        self.assertNotContains(page, image.file.url)
        self.assertContains(page, "/media/thumbnails/lead/")

    def test_every_size_is_cut_to_its_shape(self):
        with self.captureOnCommitCallbacks(execute=True):
            image = Image.objects.create(file=make_upload(), description="A blue square")
        for size, dimensions in SIZES.items():
            with default_storage.open(thumbnail_name(image.file.name, size)) as file:
                self.assertEqual(Picture.open(file).size, dimensions)

    def test_another_file_gets_thumbnails_of_its_own_and_other_changes_do_not(self):
        with self.captureOnCommitCallbacks(execute=True):
            image = Image.objects.create(file=make_upload(), description="A blue square")
        image.refresh_from_db()
        image.description = "Blue"
        with self.captureOnCommitCallbacks() as callbacks:
            image.save()
        self.assertEqual(callbacks, [])
        self.assertIsNotNone(image.thumbnails_made_at)
        image.file = make_upload("crimson", "other.png")
        with self.captureOnCommitCallbacks(execute=True):
            image.save()
            self.assertEqual(image.card_url, image.file.url)
        image.refresh_from_db()
        self.assertIn("other", image.card_url)

    def test_a_file_that_a_program_stores_gets_thumbnails_too(self):
        image = Image(description="A blue square")
        with self.captureOnCommitCallbacks(execute=True):
            image.file.save("stored.png", make_upload())
        image.refresh_from_db()
        self.assertIn("/thumbnails/card/", image.card_url)

    def test_a_task_for_an_image_that_is_gone_does_nothing(self):
        make_thumbnails.delay(424242)

    def test_an_unknown_size_is_named(self):
        with self.assertRaisesMessage(ValueError, "There is no thumbnail size 'huge'; the sizes are card, lead."):
            thumbnail_name("images/a.png", "huge")
