"""The pages of members: joining, their account, what they saved, what others see of them."""

from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.contrib.auth.mixins import LoginRequiredMixin
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse_lazy
from django.views.decorators.http import require_POST
from django.views.generic import CreateView, ListView, UpdateView

from articles.models import Article

from .forms import AccountForm, RegistrationForm
from .models import Member, SavedArticle


class RegisterView(CreateView):
    form_class = RegistrationForm
    template_name = "members/register.html"
    success_url = reverse_lazy("members:account")

    def form_valid(self, form):
        response = super().form_valid(form)
        login(self.request, self.object)
        messages.success(self.request, f"Welcome, {self.object}.")
        return response


class AccountView(LoginRequiredMixin, UpdateView):
    form_class = AccountForm
    template_name = "members/account.html"
    success_url = reverse_lazy("members:account")

    def get_object(self, queryset=None):
        # A copy of its own: a form that is refused must not change the name in the masthead.
        return Member.objects.get(pk=self.request.user.pk)

    def form_valid(self, form):
        messages.success(self.request, "Your account has been changed.")
        return super().form_valid(form)


class SavedView(LoginRequiredMixin, ListView):
    template_name = "members/saved.html"
    context_object_name = "saved_articles"
    paginate_by = 18

    def get_queryset(self):
        return self.request.user.saved_articles.filter(article__in=Article.objects.published()).select_related(
            "article__section", "article__author", "article__image"
        )


class MemberView(ListView):
    """A member as others see them: who they are and what they said."""

    template_name = "members/member.html"
    context_object_name = "comments"
    paginate_by = 20

    def get_queryset(self):
        self.member = get_object_or_404(Member, username=self.kwargs["username"], is_active=True)
        return self.member.comments.visible().filter(article__in=Article.objects.published()).select_related("article")

    def get_context_data(self, **kwargs):
        return super().get_context_data(member=self.member, **kwargs)


@require_POST
@login_required
def toggle_saved(request, pk):
    """Put an article on the reading list, or take it off."""
    article = get_object_or_404(Article.objects.published(), pk=pk)
    saved, is_new = SavedArticle.objects.get_or_create(member=request.user, article=article)
    if is_new:
        messages.success(request, "Saved to your reading list.")
    else:
        saved.delete()
        messages.success(request, "Taken off your reading list.")
    return redirect(article)
