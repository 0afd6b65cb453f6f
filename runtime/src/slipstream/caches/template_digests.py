"""A digest of a template's source and of all it includes and extends: a deploy that changes a template changes the key.

Names that are written out are followed. A name that is computed while rendering cannot be, so such a template's digest
covers every template of the engine: any change of any of them changes the key, and nothing stale is served.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.template import Engine, TemplateDoesNotExist
from django.template.base import FilterExpression, Node, Template, TextNode
from django.template.library import InclusionNode
from django.template.loader_tags import ExtendsNode, IncludeNode, construct_relative_path

from slipstream.caches.identity import digest_of

# Kept with the template it describes: a reloaded template is a new object.
_DIGEST = "_slipstream_digest"


def digest_of_template(template: Template) -> str:
    """Return the digest of a template's source and of all that it includes and extends."""
    digest = template.__dict__.get(_DIGEST)
    if digest is None:
        parts: dict[str, str] = {}
        _collect(template, parts)
        digest = template.__dict__[_DIGEST] = digest_of(f"{name}={parts[name]}" for name in sorted(parts))
    return str(digest)


def digest_of_nodes(nodes: Any, engine: Engine) -> str:
    """Return the digest of nodes whose source is not at hand (a template made from a string) and of all they include."""
    parts: dict[str, str] = {"": digest_of(_written(nodes))}
    for name in _referenced(nodes, None):
        _collect_name(name, engine, parts)
    return digest_of(f"{name}={parts[name]}" for name in sorted(parts))


def _collect(template: Template, parts: dict[str, str]) -> None:
    name = template.origin.template_name or template.origin.name
    if name in parts:
        return  # a template may include itself
    parts[name] = template.source
    for reference in _referenced(template.nodelist, template.origin.template_name):
        _collect_name(reference, template.engine, parts)


def _collect_name(name: str | None, engine: Engine, parts: dict[str, str]) -> None:
    if name is None:
        parts["*"] = parts.get("*") or _digest_of_engine(engine)
        return
    try:
        _collect(engine.get_template(name), parts)
    except TemplateDoesNotExist:
        parts[name] = "does not exist"


def _referenced(nodes: Any, own_name: str | None) -> Iterator[str | None]:
    """Yield the names of templates that the nodes refer to; None for one that only rendering will tell."""
    for node in nodes:
        if isinstance(node, IncludeNode):
            yield _literal(node.template, own_name)
        elif isinstance(node, ExtendsNode):
            yield _literal(node.parent_name, own_name)
        elif isinstance(node, InclusionNode):
            yield node.filename if isinstance(node.filename, str) else None
        for name in getattr(node, "child_nodelists", ()):
            yield from _referenced(getattr(node, name, None) or (), own_name)


def _literal(expression: FilterExpression, own_name: str | None) -> str | None:
    if isinstance(expression.var, str) and not expression.filters:
        return str(construct_relative_path(own_name, expression.var)) if own_name else str(expression.var)
    return None


def _written(nodes: Any) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, TextNode):
            yield node.s
        elif isinstance(node, Node) and getattr(node, "token", None) is not None:
            yield node.token.contents
        for name in getattr(node, "child_nodelists", ()):
            yield from _written(getattr(node, name, None) or ())


def _digest_of_engine(engine: Engine) -> str:
    digest = engine.__dict__.get(_DIGEST)
    if digest is None or engine.debug:
        digest = engine.__dict__[_DIGEST] = digest_of(_sources(engine))
    return str(digest)


def _sources(engine: Engine) -> Iterator[str]:
    folders: set[Path] = set()
    for loader in engine.template_loaders:
        for inner in getattr(loader, "loaders", [loader]):
            folders.update(Path(folder) for folder in getattr(inner, "get_dirs", lambda: ())())
    for folder in sorted(folders):
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                # Not the folder's own path, which differs between hosts and releases.
                yield str(path.relative_to(folder))
                yield path.read_bytes().decode("latin-1")
