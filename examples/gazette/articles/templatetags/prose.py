"""Turns the plain text that editors write into the paragraphs that readers see."""

import re

from django import template
from django.utils.html import format_html
from django.utils.safestring import mark_safe

register = template.Library()


@register.filter
def prose(text):
    """Paragraphs, headings (“## ”) and quotations (“> ”) as HTML; everything else is escaped."""
    blocks = (block.strip() for block in re.split(r"\n\s*\n", text.replace("\r\n", "\n")))
    return mark_safe("\n".join(_render_block(block) for block in blocks if block))


def _render_block(block):
    if block.startswith("## "):
        return format_html("<h2>{}</h2>", block[3:])
    if block.startswith("> "):
        return format_html("<blockquote><p>{}</p></blockquote>", block[2:])
    return format_html("<p>{}</p>", block)


@register.filter
def initials(name):
    """The first letters of the first and the last word, for the round that stands in for a portrait."""
    words = name.split()
    return "".join(word[0].upper() for word in (words[:1] + words[1:][-1:]))
