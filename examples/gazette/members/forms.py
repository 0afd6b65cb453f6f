"""What members fill in about themselves."""

from functools import partial

from django import forms
from django.contrib.auth.forms import PasswordResetForm, UserCreationForm
from django.db import transaction

from .models import Member
from .tasks import mail_password_reset


class RegistrationForm(UserCreationForm):
    class Meta(UserCreationForm.Meta):
        model = Member
        fields = ["display_name", "username", "email"]


class AccountForm(forms.ModelForm):
    class Meta:
        model = Member
        fields = ["display_name", "email", "about"]
        widgets = {"about": forms.Textarea(attrs={"rows": 4})}


class BackgroundPasswordResetForm(PasswordResetForm):
    """Finds the accounts as Django does, and leaves the mail to a worker."""

    def save(self, *, request, **options):
        base_url = request.build_absolute_uri("/")
        for member in self.get_users(self.cleaned_data["email"]):
            transaction.on_commit(partial(mail_password_reset.delay, member.pk, base_url))
