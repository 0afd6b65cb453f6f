"""The button that puts an article on the reading list."""

from django import template

register = template.Library()


@register.inclusion_tag("members/save_button.html", takes_context=True)
def save_button(context, article):
    user = context["request"].user
    is_saved = user.is_authenticated and user.saved_articles.filter(article=article).exists()
    return {
        "article": article,
        "user": user,
        "is_saved": is_saved,
        "csrf_token": context.get("csrf_token"),
    }
