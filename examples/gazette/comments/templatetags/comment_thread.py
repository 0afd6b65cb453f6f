"""The comments under an article, with the form for members."""

from django import template
from django.core.paginator import Paginator

from comments.forms import CommentForm

register = template.Library()

PAGE_SIZE = 40


@register.inclusion_tag("comments/thread.html", takes_context=True)
def comment_thread(context, article):
    """The newest comments first; `?comments=2` asks for older ones."""
    request = context["request"]
    comments = article.comments.visible().select_related("member")
    page = Paginator(comments, PAGE_SIZE).get_page(request.GET.get("comments"))
    return {
        "article": article,
        "request": request,
        "user": request.user,
        "page_obj": page,
        "form": CommentForm(),
        "csrf_token": context.get("csrf_token"),
    }
