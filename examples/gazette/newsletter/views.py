"""Joining and leaving the newsletter. Links in mail lead to a button: programs that look through mail follow links."""

from functools import partial

from django.db import transaction
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.utils import timezone
from django.views.generic import FormView

from .forms import JoinForm
from .models import Subscription
from .tasks import mail_confirmation


class JoinView(FormView):
    form_class = JoinForm
    template_name = "newsletter/join.html"
    success_url = reverse_lazy("newsletter:sent")

    def get_initial(self):
        return {"email": self.request.GET.get("email", "")}

    def form_valid(self, form):
        # The answer is the same for an address that is known, so that nobody can find out who reads the letter.
        subscription, _ = Subscription.objects.get_or_create(email=form.cleaned_data["email"])
        if subscription.confirmed_at is None:
            base_url = self.request.build_absolute_uri("/")
            transaction.on_commit(partial(mail_confirmation.delay, subscription.pk, base_url))
        return super().form_valid(form)


def confirm(request, token):
    """Ask once more, then let the letters begin."""
    subscription = get_object_or_404(Subscription, token=token)
    if request.method == "POST":
        if subscription.confirmed_at is None:
            subscription.confirmed_at = timezone.now()
            subscription.save(update_fields=["confirmed_at"])
        return redirect("newsletter:welcome")
    return render(request, "newsletter/confirm.html", {"subscription": subscription})


def leave(request, token):
    """Ask once more, then forget the address."""
    subscription = get_object_or_404(Subscription, token=token)
    if request.method == "POST":
        subscription.delete()
        return redirect("newsletter:left")
    return render(request, "newsletter/leave.html", {"subscription": subscription})
