"""Run the examples of a page of the docs: python docs_examples.py PAGE REDIS_PORT. The first block of Python is the settings."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

BLOCK = re.compile(r"^```(python|html\+django)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def main() -> None:
    text = Path(sys.argv[1]).read_text().replace("127.0.0.1:6379", f"127.0.0.1:{sys.argv[2]}")
    blocks = [(match[1], match[2], text.count("\n", 0, match.start(2)) + 1) for match in BLOCK.finditer(text)]
    templates = {code.split("#}")[0].removeprefix("{#").strip(): code for kind, code, _ in blocks if kind == "html+django"}
    (_, first, _), *rest = [block for block in blocks if block[0] == "python"]
    given: dict[str, Any] = {}
    exec(compile(first, sys.argv[1], "exec"), given)

    for entry in given["CACHES"].values():
        entry.setdefault("OPTIONS", {"timeout_seconds": 2.0})  # on a busy machine 50 ms pass without the server's fault

    import django
    from django.conf import settings

    settings.configure(SECRET_KEY="docs", ALLOWED_HOSTS=["*"], **{name: given[name] for name in given if name.isupper()})
    django.setup()
    from django.template import Context, Engine

    engine = Engine(
        loaders=[("django.template.loaders.locmem.Loader", templates)],
        libraries={"slipstream": "slipstream.templatetags.slipstream", "cache": "django.templatetags.cache"},
    )

    def render(name: str, **values: Any) -> str:
        return engine.get_template(name).render(Context(values))  # type: ignore[no-any-return]

    names: dict[str, Any] = {"__name__": "docs_page", "render": render}
    for _, code, line in rest:
        # Empty lines in front, so that an error names the line of the page.
        exec(compile("\n" * (line - 1) + code, sys.argv[1], "exec"), names)
    print(f"{len(rest) + 1} blocks of Python and {len(templates)} templates ran")


main()
