"""Mail of the newsletter: the request to confirm, and the weekly digest."""

from datetime import timedelta
from urllib.parse import urljoin

from celery import shared_task
from django.conf import settings
from django.core.mail import get_connection, send_mail
from django.core.mail.message import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from articles.models import Article

from .models import Subscription

BATCH_SIZE = 200  # letters over one connection to the mail server
ARTICLES_PER_DIGEST = 8


@shared_task
def mail_confirmation(subscription_pk, base_url):
    """Ask the owner of an address whether the letter is wanted; `base_url` is the site as the reader sees it."""
    subscription = Subscription.objects.filter(pk=subscription_pk, confirmed_at=None).first()
    if subscription is None:
        return
    link = urljoin(base_url, reverse("newsletter:confirm", args=[subscription.token]))
    text = render_to_string("newsletter/mail/confirm.txt", {"link": link})
    send_mail("Please confirm your subscription to The Gazette", text, None, [subscription.email])


@shared_task
def send_weekly_digest():
    """Hand out the week's letter in batches to everybody who has not received today's."""
    today = timezone.localdate()
    pks = list(Subscription.objects.active().exclude(last_digest_on=today).values_list("pk", flat=True))
    for start in range(0, len(pks), BATCH_SIZE):
        send_digest_batch.delay(pks[start : start + BATCH_SIZE])


@shared_task
def send_digest_batch(subscription_pks):
    """Send the letter to some subscribers, once a day each, even if the task is delivered twice."""
    today = timezone.localdate()
    articles = _choose_articles()
    if not articles:
        return
    waiting = Subscription.objects.active().filter(pk__in=subscription_pks).exclude(last_digest_on=today)
    with get_connection() as connection:
        for subscription in waiting:
            _compose_digest(subscription, articles, connection).send()
            Subscription.objects.filter(pk=subscription.pk).update(last_digest_on=today)


def _choose_articles():
    """What was read most of the last week's articles; the newest where nothing was read."""
    recent = Article.objects.filter(published_at__gte=timezone.now() - timedelta(days=7)).select_related("author", "section")
    return list(recent.most_read()[:ARTICLES_PER_DIGEST]) or list(recent.published()[:ARTICLES_PER_DIGEST])


def _compose_digest(subscription, articles, connection):
    leave_url = urljoin(settings.SITE_URL, reverse("newsletter:leave", args=[subscription.token]))
    context = {"articles": articles, "site_url": settings.SITE_URL.rstrip("/"), "leave_url": leave_url}
    letter = EmailMultiAlternatives(
        subject=f"This week: {articles[0].title}",
        body=render_to_string("newsletter/mail/digest.txt", context),
        to=[subscription.email],
        headers={"List-Unsubscribe": f"<{leave_url}>"},
        connection=connection,
    )
    letter.attach_alternative(render_to_string("newsletter/mail/digest.html", context), "text/html")
    return letter
