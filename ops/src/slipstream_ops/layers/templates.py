"""Fills a product's template file; an unknown name in a template is an error, never an empty string."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment(package: str) -> Environment:
    return Environment(
        loader=PackageLoader(package, "."),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,
    )


def fill(package: str, template: str, **values: Any) -> str:
    """Text of ``template`` (a file inside ``package``) with ``values`` filled in."""
    return _environment(package).get_template(template).render(**values)
