"""Work on articles that no reader waits for."""

from celery import shared_task
from django.utils import timezone

from .models import Image
from .thumbnails import cut_thumbnails


@shared_task
def make_thumbnails(image_pk):
    """Cut the thumbnails of one image; an image that was deleted meanwhile needs none."""
    image = Image.objects.filter(pk=image_pk).first()
    if image is None:
        return
    cut_thumbnails(image.file.name)
    # Only if the file is still the one that was cut: another upload has its own task on the way.
    Image.objects.filter(pk=image_pk, file=image.file.name).update(thumbnails_made_at=timezone.now())
