"""Fragments and lifetimes for templates: `{% fragment %}`, `{% fragments for %}` and the `lifetime` filter."""

from __future__ import annotations

import difflib
import re
from typing import Any

from django import template
from django.conf import settings
from django.template.base import Parser, Token

from slipstream.caches.mistakes import raise_or_log_once
from slipstream.fragments import FragmentLoopNode, FragmentMistake, FragmentNode
from slipstream.lifetimes import UnknownLifetime, to_seconds

register = template.Library()
OPTION = re.compile(r"(\w+)=(.+)", re.DOTALL)
OPTIONS = ("lifetime", "using")


@register.filter  # type: ignore[untyped-decorator]  # Django carries no types
def lifetime(name: Any) -> Any:
    """Return the seconds of a named lifetime, for tags that want a number: `{% cache "short"|lifetime sidebar %}`."""
    try:
        return to_seconds(name)
    except UnknownLifetime as mistake:
        raise_or_log_once(mistake)
        return 0  # to Django's tag: rendered, and not kept


@register.tag  # type: ignore[untyped-decorator]
def fragment(parser: Parser, token: Token) -> FragmentNode:
    """Cache a part of a page: `{% fragment "card" article page=2 lifetime="short" using="fragments" %}...{% endfragment %}`.

    The first argument names the fragment; the others are what its content depends on, model instances among them. It
    is kept for the lifetime (the cache's own TIMEOUT if none is given) or until one of them changes.
    """
    options: dict[str, Any] = {}
    arguments: list[Any] = []
    mistake = ""
    for word in token.split_contents()[1:]:
        option = OPTION.fullmatch(word)
        if option is None:
            arguments.append(parser.compile_filter(word))
        elif option[1] in OPTIONS:
            options[option[1]] = parser.compile_filter(option[2])
        else:
            nearest = difflib.get_close_matches(option[1], OPTIONS, n=1)
            mistake = f"{option[1]} is no option; " + (
                f"did you mean {nearest[0]}?" if nearest else "there are lifetime and using."
            )
    if not arguments and not mistake:
        mistake = 'nothing identifies it. Give a name and what it depends on: {% fragment "card" article %}.'
    if mistake and settings.DEBUG:
        raise FragmentMistake(f"{parser.origin}, line {token.lineno}: {{% {token.contents} %}}: {mistake}")
    nodelist = parser.parse(("endfragment",))
    parser.delete_first_token()
    name, *values = arguments or [None]
    return FragmentNode(token.contents, name, values, options.get("lifetime"), options.get("using"), nodelist, mistake)


@register.tag  # type: ignore[untyped-decorator]
def fragments(parser: Parser, token: Token) -> FragmentLoopNode:
    """Loop and fetch all fragments of the loop in one round trip: `{% fragments for article in articles %}...{% endfragments %}`.

    Written and rendered as `{% for %}` is, with `reversed`, several variables, `forloop` and `{% empty %}`.
    """
    words = token.split_contents()
    is_reversed = words[-1] == "reversed"
    place = -2 - is_reversed
    if len(words) < 5 or words[1] != "for" or words[place] != "in":
        raise template.TemplateSyntaxError(
            f"{parser.origin}, line {token.lineno}: {{% {token.contents} %}}: write it as {{% fragments for x in xs %}}."
        )
    names = [name for name in re.split(r"[ ,]+", " ".join(words[2:place])) if name]
    sequence = parser.compile_filter(words[place + 1])
    body = parser.parse(("empty", "endfragments"))
    empty = None
    if parser.next_token().contents == "empty":
        empty = parser.parse(("endfragments",))
        parser.delete_first_token()
    return FragmentLoopNode(names, sequence, is_reversed, body, empty)
