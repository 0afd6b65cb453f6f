"""Mail to members."""

from urllib.parse import urljoin

from celery import shared_task
from django.contrib.auth.tokens import default_token_generator
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from .models import Member


@shared_task
def mail_password_reset(member_pk, base_url):
    """Send the link that lets a member choose a new password; `base_url` is the site as the member sees it."""
    member = Member.objects.filter(pk=member_pk, is_active=True).first()
    if member is None:
        return
    key = urlsafe_base64_encode(force_bytes(member.pk))
    path = reverse("members:password-new", args=[key, default_token_generator.make_token(member)])
    text = render_to_string("members/mail/password_reset.txt", {"member": member, "link": urljoin(base_url, path)})
    send_mail("A new password for The Gazette", text, None, [member.email])
