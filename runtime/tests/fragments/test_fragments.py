"""Fragments: what their key depends on, dolls in dolls, one round trip for a loop, and what is said about mistakes."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from cache_servers import CacheServer, FaultProxy
from django.core.cache import caches
from django.template import TemplateSyntaxError
from django.test import override_settings
from django.utils import timezone, translation
from fragment_models import Article, Plain

UTC = datetime.UTC
MONDAY, TUESDAY = datetime.datetime(2026, 11, 16, tzinfo=UTC), datetime.datetime(2026, 11, 17, tzinfo=UTC)
Make = Callable[..., Callable[..., str]]


def article(pk: int | None = 1, updated_at: datetime.datetime = MONDAY, title: str = "title") -> Article:
    return Article(pk=pk, updated_at=updated_at, title=title)


def test_a_fragment_is_rendered_once_for_each_key(templates: Make, calls: Any) -> None:
    render = templates(
        page='{% load slipstream %}{% fragment "card" article page %}<b>{{ article.title }}</b>{{ calls.one }}{% endfragment %}'
    )
    assert render(article=article(), page=1, calls=calls) == "<b>title</b>"
    assert render(article=article(title="not seen: nothing says that it changed"), page=1, calls=calls) == "<b>title</b>"
    assert calls.count == 1
    assert render(article=article(updated_at=TUESDAY, title="new"), page=1, calls=calls) == "<b>new</b>"
    render(article=article(pk=2), page=1, calls=calls)
    render(article=article(), page=2, calls=calls)
    assert calls.count == 4
    with translation.override("de"):
        render(article=article(), page=1, calls=calls)
    with timezone.override("Asia/Tokyo"):
        render(article=article(), page=1, calls=calls)
    assert calls.count == 6


def test_one_and_the_text_one_are_not_the_same(templates: Make, calls: Any) -> None:
    render = templates(page='{% load slipstream %}{% fragment "card" value %}{{ calls.one }}{% endfragment %}')
    for value in (1, "1", True, None, "None", [1], [[1]], ["1"], ["a", "b"], ["ab"], {"a": 1}, 1.0, datetime.date(2026, 1, 1)):
        render(value=value, calls=calls)
    assert calls.count == 13


def test_a_changed_template_changes_the_key(templates: Make, calls: Any) -> None:
    files = {
        "page": '{% extends "base.html" %}{% load slipstream %}{% block body %}'
        '{% fragment "card" %}{% include "./part.html" %}{{ calls.one }}{% endfragment %}{% endblock %}',
        "base": "<html>{% block body %}{% endblock %}</html>",
        "part": "{% include 'deep.html' %}",
        "deep": "deep",
    }
    templates(**files)(calls=calls)
    templates(**files)(calls=calls)
    assert calls.count == 1
    for number, name in enumerate(files):
        changed = templates(**{**files, name: files[name] + " "})
        changed(calls=calls)
        changed(calls=calls)
        assert calls.count == number + 2, name


def test_an_include_named_by_a_variable_counts_every_template(templates: Make, calls: Any, tmp_path: Any) -> None:
    files = {
        "page": "{% load slipstream %}{% fragment 'card' %}{% include which %}{{ calls.one }}{% endfragment %}",
        "part": "part",
    }
    assert templates(**files)(which="part.html", calls=calls) == "part"
    templates(**files)(which="part.html", calls=calls)
    assert calls.count == 1


def test_a_fragment_around_a_block_depends_on_who_fills_it(templates: Make) -> None:
    render = templates(
        base='{% load slipstream %}{% fragment "frame" %}{% block body %}{% endblock %}{% endfragment %}',
        one='{% extends "base.html" %}{% block body %}one{% endblock %}',
        two='{% extends "base.html" %}{% block body %}two{% endblock %}',
    )
    assert [render("one"), render("two"), render("one")] == ["one", "two", "one"]


def test_dolls_in_dolls(templates: Make) -> None:
    """A change of one article renders the page's frame and that article anew, and takes the others from the cache."""
    render = templates(
        page='{% load slipstream %}{% fragment "list" articles %}{{ outer.one }}{% for article in articles %}'
        '{% fragment "card" article %}{{ inner.one }}[{{ article.title }}]{% endfragment %}{% endfor %}{% endfragment %}'
    )
    outer, inner = Calls(), Calls()
    articles = [article(pk=number, title=str(number)) for number in range(5)]
    assert render(articles=articles, outer=outer, inner=inner) == "[0][1][2][3][4]"
    assert (outer.count, inner.count) == (1, 5)
    articles[2] = article(pk=2, updated_at=TUESDAY, title="new")
    assert render(articles=articles, outer=outer, inner=inner) == "[0][1][new][3][4]"
    assert (outer.count, inner.count) == (2, 6)


class Calls:
    count = 0

    @property
    def one(self) -> str:
        self.count += 1
        return ""


@pytest.mark.parametrize("how", ["direct", "included", "only", "with"])
def test_fifty_fragments_are_one_round_trip(templates: Make, redis_server: CacheServer, entry: dict[str, Any], how: str) -> None:
    card = '{% fragment "card" article forloop.counter %}[{{ article.title }}]{{ calls.one }}{% endfragment %}'
    body = {
        "direct": card,
        "included": '{% if article.title %}{% include "card.html" %}{% endif %}',
        "only": '{% include "card.html" with article=article forloop=forloop calls=calls only %}',
        "with": '{% with thing=article %}{% include "card.html" with article=thing %}{% endwith %}',
    }[how]
    render = templates(
        page="{% load slipstream %}{% fragments for article in articles %}" + body + "{% empty %}none{% endfragments %}",
        card="{% load slipstream %}" + card,
    )
    articles = [article(pk=number, title=str(number)) for number in range(50)]
    proxy = FaultProxy(redis_server.port)
    try:
        location = redis_server.location.replace(str(redis_server.port), str(proxy.port))
        with override_settings(CACHES={"default": entry | {"LOCATION": location, "OPTIONS": {"timeout_seconds": 2}}}):
            calls = Calls()
            expected = "".join(f"[{number}]" for number in range(50))
            assert render(articles=articles, calls=calls) == expected
            assert calls.count == 50
            before = proxy.requests
            assert render(articles=articles, calls=calls) == expected
            assert calls.count == 50
            assert proxy.requests - before == 1
            assert render(articles=[], calls=calls) == "none"
            # One changed: the fetch, the claim on it, and the store.
            articles[7] = article(pk=7, updated_at=TUESDAY, title="new")
            before = proxy.requests
            assert "[6][new][8]" in render(articles=articles, calls=calls)
            assert calls.count == 51
            assert proxy.requests - before == 3
    finally:
        proxy.close()


def test_the_loop_is_a_loop(templates: Make) -> None:
    render = templates(
        page="{% load slipstream %}{% fragments for key, value in pairs reversed %}"
        "{{ forloop.counter }}{{ key }}{{ value }}{% if not forloop.last %},{% endif %}{% endfragments %}"
    )
    assert render(pairs=[("a", 1), ("b", 2)]) == "1b2,2a1"
    assert render() == ""


def test_a_loop_evaluates_its_sequence_once(templates: Make) -> None:
    asked = []
    render = templates(page="{% load slipstream %}{% fragments for x in ask %}{{ x }}{% endfragments %}")
    assert render(ask=lambda: asked.append(1) or [1, 2]) == "12"
    assert asked == [1]


def test_busting_renders_and_stores_anew(templates: Make) -> None:
    render = templates(page='{% load slipstream %}{% fragment "card" %}{{ text }}{% endfragment %}')
    assert render(text="old") == "old"
    assert render(text="new", request=SimpleNamespace(slipstream_bypass=False)) == "old"
    assert render(text="new", request=SimpleNamespace(slipstream_bypass=True)) == "new"
    assert render(text="later") == "new"


def test_lifetimes_by_name(templates: Make, entry: dict[str, Any]) -> None:
    render = templates(page='{% load slipstream %}{% fragment "card" lifetime=kept %}x{% endfragment %}')
    with override_settings(SLIPSTREAM={"LIFETIMES": {"short": 100}}):
        render(kept="short")
        cache = caches["default"]
        from slipstream.caches.redis import _Exchanging, pack

        driver = cache.drivers[0]
        names = [name for name in driver.call(_Exchanging.exchange, pack(b"KEYS", b"*")) if b"fragment:card" in name]
        mine = [name for name in names if name.startswith(entry["KEY_PREFIX"].encode())]
        left_ms = driver.call(_Exchanging.exchange, pack(b"PTTL", mine[0])) - cache.grace_ms
        assert 79_000 < left_ms <= 100_000


def test_django_cache_tag_works_as_ever(templates: Make) -> None:
    render = templates(page='{% load cache slipstream %}{% cache "short"|lifetime "side" user %}{{ text }}{% endcache %}')
    assert render(text="old", user="a") == "old"
    assert render(text="new", user="a") == "old"
    assert render(text="new", user="b") == "new"


def test_other_backends_take_fragments_too(templates: Make) -> None:
    card = '{% fragment "card" x lifetime="short" %}{{ text }}{% endfragment %}'
    render = templates(page="{% load slipstream %}{% fragments for x in xs %}" + card + "{% endfragments %}")
    with override_settings(CACHES={"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}):
        assert render(xs=[1, 2], text="old") == "oldold"
        assert render(xs=[1, 2, 3], text="new") == "oldoldnew"


MISTAKES = [
    ("{% fragment %}x{% endfragment %}", "nothing identifies it"),
    ("{% fragment '' %}x{% endfragment %}", "its name is ''"),
    ("{% fragment 'card' nowhere %}x{% endfragment %}", "nowhere is not defined here"),
    ("{% fragment 'card' unsaved %}x{% endfragment %}", "without a primary key"),
    ("{% fragment 'card' plain %}x{% endfragment %}", "no last-modified field"),
    ("{% fragment 'card' thing %}x{% endfragment %}", "does not say what it is"),
    ("{% fragment 'card' lifetime='shrot' %}x{% endfragment %}", 'There is no lifetime "shrot". Did you mean "short"?'),
    ("{% fragment 'card' lifetme='short' %}x{% endfragment %}", "did you mean lifetime?"),
    ("{% fragment 'card' using='nope' %}x{% endfragment %}", "there is no cache 'nope'"),
]


@pytest.mark.parametrize(("tag", "complaint"), MISTAKES)
def test_a_mistake_names_its_line_in_development(templates: Make, in_development: None, tag: str, complaint: str) -> None:
    render = templates(page="{% load slipstream %}\n\n" + tag)
    with pytest.raises(TemplateSyntaxError) as raised:
        render(unsaved=article(pk=None), plain=Plain(pk=1), thing=object())
    assert "page.html, line 3: {% fragment" in str(raised.value)
    assert complaint in str(raised.value)


@pytest.mark.parametrize(("tag", "complaint"), MISTAKES)
def test_a_mistake_renders_uncached_and_is_logged_once_in_production(
    templates: Make, caplog: pytest.LogCaptureFixture, tag: str, complaint: str
) -> None:
    caplog.set_level(logging.ERROR, "slipstream.caches")
    # A line of its own, because "once" is once in the life of a process.
    render = templates(page="{% load slipstream %}" + "\n" * (10 + len(complaint)) + tag)
    for _ in range(3):
        assert render(unsaved=article(pk=None), plain=Plain(pk=1), thing=object()).strip() == "x"
    assert [complaint in record.getMessage() for record in caplog.records] == [True]


def test_a_fragment_survives_its_server(templates: Make, entry: dict[str, Any]) -> None:
    render = templates(page='{% load slipstream %}{% fragment "card" %}{{ text }}{% endfragment %}')
    with override_settings(CACHES={"default": entry | {"LOCATION": "redis://127.0.0.1:1"}}):
        assert render(text="a") == "a"
        assert render(text="b") == "b"


def test_an_unknown_lifetime_in_django_cache_tag(templates: Make, caplog: pytest.LogCaptureFixture) -> None:
    render = templates(page='{% load cache slipstream %}{% cache "shrot2"|lifetime "side" %}{{ text }}{% endcache %}')
    assert [render(text=text) for text in ("a", "b", "c")] == ["a", "b", "c"]
    assert sum("shrot2" in record.getMessage() for record in caplog.records) == 1
    with override_settings(DEBUG=True), pytest.raises(ValueError, match="shrot2"):
        render(text="d")
