"""Asks the project's interpreter what it is, before anything of the project is imported."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import run
from slipstream_ops.layers.contract import Command

OLDEST_PYTHON = (3, 11)
OLDEST_DJANGO = (5, 2)

_QUESTION = """
import importlib.metadata as m, importlib.util as u, json, os, sys, sysconfig
def version(name):
    try: return m.version(name)
    except m.PackageNotFoundError: return None
def there(name):
    try: return u.find_spec(name) is not None
    except (ImportError, ValueError): return False
print(json.dumps({
    "version": sys.version_info[:3], "django": version("Django"), "runtime": version("slipstream"),
    "installed": [n for n in sys.argv[1:] if there(n)],
    "prefixes": sorted({sys.prefix, sys.base_prefix, os.path.dirname(os.path.realpath(sys.executable)),
                        *(p for p in sys.path if p and os.path.isdir(p))}),
    "tag": sysconfig.get_config_var("SOABI") or sys.implementation.cache_tag}))
"""


@dataclass(frozen=True)
class Interpreter:
    """The project's Python, its Django, which of the modules asked about it has, and the folders it needs to read."""

    python: Path
    version: tuple[int, ...]
    django: str
    installed: frozenset[str]
    prefixes: tuple[Path, ...]
    tag: str  # names the ABI: packages lent to another one would not load
    runtime: str | None  # version of slipstream when it is installed there


def question_interpreter(python: Path, modules: Iterable[str]) -> Interpreter:
    """Facts about ``python``. Raises ``Complaint`` for one that does not run, is too old, or has no Django."""
    doing = f"looking at the interpreter {python}"
    result = run(Command((str(python), "-c", _QUESTION, *sorted(modules)), doing, directory=Path("/"), timeout_seconds=30))
    if not result.succeeded:
        raise Complaint(
            doing, "it cannot run a simple program", "Check --python, or make the environment anew", result.transcript
        )
    facts = json.loads(result.output.strip().splitlines()[-1])
    version = tuple(facts["version"])
    dotted = ".".join(map(str, version))
    if version < OLDEST_PYTHON:
        raise Complaint(doing, f"it is Python {dotted}", "slipstream needs Python 3.11 or later in the project")
    if facts["django"] is None:
        raise Complaint(
            doing,
            f"it has no Django (Python {dotted})",
            "Name the project's own with --python PATH, or with python = ... under [project] in slipstream.toml",
        )
    if tuple(int("".join(filter(str.isdigit, part)) or 0) for part in facts["django"].split(".")[:2]) < OLDEST_DJANGO:
        raise Complaint(doing, f"it has Django {facts['django']}", "slipstream supports Django 5.2 LTS and later")
    return Interpreter(
        python=python,
        version=version,
        django=facts["django"],
        installed=frozenset(facts["installed"]),
        prefixes=tuple(Path(p) for p in facts["prefixes"]),
        tag=facts["tag"],
        runtime=facts["runtime"],
    )
