"""Taking a member's comment."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST

from articles.models import Article

from .forms import CommentForm


@require_POST
@login_required
def post_comment(request, pk):
    """Put a comment under a published article, or show the form again with what is wrong."""
    article = get_object_or_404(Article.objects.published(), pk=pk)
    form = CommentForm(request.POST)
    if not form.is_valid():
        return render(request, "comments/refused.html", {"article": article, "form": form})
    comment = form.save(commit=False)
    comment.article = article
    comment.member = request.user
    comment.save()
    messages.success(request, "Thank you. Your comment is below.")
    return redirect(comment)
