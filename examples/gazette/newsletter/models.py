"""Who receives the weekly letter."""

import secrets

from django.db import models
from django.utils import timezone


def make_token():
    return secrets.token_urlsafe(24)


class SubscriptionQuerySet(models.QuerySet):
    def active(self):
        """Those who confirmed that the address is theirs."""
        return self.filter(confirmed_at__isnull=False)


class Subscription(models.Model):
    """An address; it receives letters once its owner has confirmed it."""

    email = models.EmailField("email address", unique=True)
    token = models.CharField(max_length=40, unique=True, default=make_token, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    confirmed_at = models.DateTimeField(null=True, blank=True)
    last_digest_on = models.DateField(null=True, editable=False)

    objects = SubscriptionQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]

    def __str__(self):
        return self.email
