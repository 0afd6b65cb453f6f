"""Cached parts of pages (Russian dolls): the key of a fragment says everything that its content depends on.

A fragment's key is made of the names and values given to the tag (model instances by primary key and last
modification), the language, the time zone, and a digest of the template's own source and of all it includes and
extends. So nothing has to be invalidated: what changes, changes the key. Nested fragments are keys inside keys; the
outer one is made anew from the inner ones that are still there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.signals import setting_changed
from django.dispatch import receiver
from django.template import Context, TemplateSyntaxError, VariableDoesNotExist
from django.template.base import FilterExpression, Node, NodeList, Template, VariableNode
from django.template.defaulttags import ForNode, WithNode
from django.template.loader_tags import BlockNode, ExtendsNode, IncludeNode, construct_relative_path
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import get_language

from slipstream.caches.backend import Found, SurvivingCache
from slipstream.caches.envelope import MISSING
from slipstream.caches.identity import CannotIdentify, digest_of, identify, readable
from slipstream.caches.mistakes import raise_or_log_once
from slipstream.caches.template_digests import digest_of_nodes, digest_of_template
from slipstream.lifetimes import UnknownLifetime, to_seconds

FRAGMENT_CACHE = "fragments"  # the alias that fragments use where CACHES has it, else "default"

# What a loop fetched ahead for the fragments in it: (alias, key) -> what was found.
_fetched_ahead: ContextVar[Mapping[tuple[str, str], Found]] = ContextVar("slipstream_fragments_fetched_ahead")


class FragmentMistake(TemplateSyntaxError):  # type: ignore[misc]
    """A fragment that cannot be cached as it is written; says where it is."""


class FragmentNode(Node):  # type: ignore[misc]  # Django carries no types
    """`{% fragment name values... %}`: renders its content once for each key."""

    def __init__(
        self,
        written: str,
        name: FilterExpression | None,
        values: Sequence[FilterExpression],
        lifetime: FilterExpression | None,
        using: FilterExpression | None,
        nodelist: NodeList,
        mistake: str = "",
    ) -> None:
        self.written = written
        self.name = name
        self.values = values
        self.lifetime = lifetime
        self.using = using
        self.nodelist = nodelist
        self.mistake = mistake
        self._own_digest: str | None = None
        self.has_blocks = bool(nodelist.get_nodes_by_type(BlockNode))

    def render(self, context: Context) -> SafeString:
        try:
            key, lifetime, alias = self.key_in(context)
        except FragmentMistake as mistake:
            raise_or_log_once(mistake)
            return self.nodelist.render(context)
        store = caches[alias]
        if getattr(context.get("request"), "slipstream_bypass", False) is True:
            html = self.nodelist.render(context)
            store.set(key, html[:], lifetime)  # the next visitor gets the new one too (blueprint T2)
            return html
        if not isinstance(store, SurvivingCache):
            html = store.get(key)
            if html is None:
                html = self.nodelist.render(context)[:]
                store.set(key, html, to_seconds(lifetime))
            return mark_safe(html)
        found = _fetched_ahead.get({}).get((alias, key))
        if found is not None and found.value is not MISSING:
            return mark_safe(found.value)
        # [:] makes a plain text of the safe one, which is smaller and quicker to read than its pickle.
        return mark_safe(store.get_or_compute(key, lambda: self.nodelist.render(context)[:], lifetime, found))

    def key_in(self, context: Context) -> tuple[str, Any, str]:
        """Return (key, lifetime, cache alias) of this fragment in a context; raises FragmentMistake with the line."""
        try:
            if self.mistake:
                raise CannotIdentify(self.mistake)
            name = self.name and resolve(self.name, context)
            if not name or not isinstance(name, str):
                raise CannotIdentify(f"its name is {name!r}; give a text that says what the fragment is.")
            parts = [name, *[identify(resolve(value, context)) for value in self.values]]
            lifetime = DEFAULT_TIMEOUT if self.lifetime is None else to_seconds(resolve(self.lifetime, context))
            if not (lifetime is None or lifetime is DEFAULT_TIMEOUT or isinstance(lifetime, (int, float))):
                raise UnknownLifetime(f"its lifetime is {lifetime!r}; give a name or seconds.")
            alias = self.alias_in(context)
        except (CannotIdentify, UnknownLifetime) as reason:
            place = f"{self.origin.template_name or self.origin.name}, line {self.token.lineno}"
            raise FragmentMistake(f"{place}: {{% {self.written} %}}: {reason}") from reason
        parts.append(self.digest(context))
        has_languages, has_time_zones, _ = _switches()
        if has_languages:
            parts.append(get_language() or "")
        if has_time_zones:
            parts.append(timezone.get_current_timezone_name())
        return f"fragment:{readable(name)}:{digest_of(parts)}", lifetime, alias

    def alias_in(self, context: Context) -> str:
        """Return the alias of the cache that the fragment uses."""
        if self.using is None:
            return _switches()[2]
        alias = resolve(self.using, context)
        if alias not in settings.CACHES:
            raise CannotIdentify(f"there is no cache {alias!r} in CACHES; there are {', '.join(sorted(settings.CACHES))}.")
        return str(alias)

    def digest(self, context: Context) -> str:
        """Return the digest of the templates that this fragment is made from."""
        own = self._own_digest
        if own is None:
            # Kept for the node's life: loaders that keep templates drop them all at once, and this node with them.
            engine = context.template.engine
            if self.origin.template_name:
                own = digest_of_template(engine.get_template(self.origin.template_name))
            else:
                own = digest_of_nodes(self.nodelist, engine)
            self._own_digest = own
        # A fragment around a {% block %} holds what the template that extends this one puts there.
        return own + digest_of_template(context.template) if self.has_blocks else own


class FragmentLoopNode(ForNode):  # type: ignore[misc]  # Django carries no types
    """`{% fragments for x in xs %}`: a loop that fetches all the fragments in it before it renders the first one.

    Keys are computed by binding each item as the loop will, and by looking through what the body includes; fragments
    inside fragments are left alone, because they are needed only where the outer one is missing.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.written_sequence: Any = self.sequence
        self.sequence: Any = _Pinned()

    def render(self, context: Context) -> SafeString:
        values = self.written_sequence.resolve(context, ignore_failures=True)
        # One evaluation: a manager's .all written in the template would ask the database a second time.
        values = [] if values is None else list(values)
        wanted: dict[str, list[str]] = {}
        for key, alias in self.keys_ahead(context, values):
            wanted.setdefault(alias, []).append(key)
        fetched = dict(_fetched_ahead.get({}))
        for alias, keys in wanted.items():
            store = caches[alias]
            if isinstance(store, SurvivingCache):
                for key, found in store.look_at_many(keys).items():
                    fetched[(alias, key)] = found
        token = _fetched_ahead.set(fetched)
        try:
            with context.push(**{_Pinned.NAME: values}):
                return super().render(context)
        finally:
            _fetched_ahead.reset(token)

    def keys_ahead(self, context: Context, values: list[Any]) -> Iterator[tuple[str, str]]:
        """Yield (key, alias) of each fragment that the loop will come to."""
        if getattr(context.get("request"), "slipstream_bypass", False) is True:
            return
        length = len(values)
        for index, item in enumerate(reversed(values) if self.is_reversed else values):
            forloop = {
                "counter0": index,
                "counter": index + 1,
                "revcounter": length - index,
                "revcounter0": length - index - 1,
                "first": index == 0,
                "last": index == length - 1,
                "length": length,
                "parentloop": context.get("forloop", {}),
            }
            bound = {self.loopvars[0]: item} if len(self.loopvars) == 1 else dict(zip(self.loopvars, item, strict=False))
            with context.push(forloop=forloop, **bound):
                yield from _keys_in(self.nodelist_loop, context)


@cache
def _switches() -> tuple[bool, bool, str]:
    """Return (are there languages, are there time zones, alias of the cache for fragments): settings read once."""
    alias = FRAGMENT_CACHE if FRAGMENT_CACHE in settings.CACHES else "default"
    return bool(settings.USE_I18N), bool(settings.USE_TZ), alias


@receiver(setting_changed)  # type: ignore[untyped-decorator]
def _forget_switches(**kwargs: Any) -> None:
    _switches.cache_clear()


class _Pinned:
    """Stands for the loop's sequence while it renders: the values that were looked ahead at."""

    NAME = "_slipstream_fragments_for"

    def resolve(self, context: Context, ignore_failures: bool = False) -> Any:
        return context[self.NAME]


def resolve(expression: FilterExpression, context: Context) -> Any:
    """Return the value of an expression; raises CannotIdentify for a variable that is not there."""
    try:
        if expression.is_var:
            expression.var.resolve(context)
    except VariableDoesNotExist:
        if not expression.filters:
            raise CannotIdentify(f"{expression.token} is not defined here, so fragments that differ would share a key.") from None
    return expression.resolve(context)


def _keys_in(nodelist: NodeList, context: Context) -> Iterator[tuple[str, str]]:
    for node in nodelist:
        if isinstance(node, FragmentNode):
            try:
                key, _, alias = node.key_in(context)
            except FragmentMistake:
                continue  # told when it is rendered
            yield key, alias
        elif isinstance(node, WithNode):
            with context.push(**{name: value.resolve(context) for name, value in node.extra_context.items()}):
                yield from _keys_in(node.nodelist, context)
        elif isinstance(node, IncludeNode):
            yield from _keys_in_include(node, context)
        elif not isinstance(node, (ForNode, ExtendsNode, VariableNode)):
            for name in getattr(node, "child_nodelists", ()):
                yield from _keys_in(getattr(node, name, None) or [], context)


def _keys_in_include(node: IncludeNode, context: Context) -> Iterator[tuple[str, str]]:
    name = node.template.resolve(context)
    if not isinstance(name, str):
        return
    try:
        included: Template = context.template.engine.get_template(construct_relative_path(node.origin.template_name, name))
        values = {name: value.resolve(context) for name, value in node.extra_context.items()}
    except Exception:  # told when it is rendered
        return
    if node.isolated_context:
        inner = context.new(values)
        with inner.bind_template(context.template) if inner.template is None else inner.push():
            yield from _keys_in(included.nodelist, inner)
    else:
        with context.push(**values):
            yield from _keys_in(included.nodelist, context)
