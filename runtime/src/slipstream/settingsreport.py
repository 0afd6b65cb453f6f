"""Writes every Django setting that the stack changes: before, after, why.

``python -m slipstream.launch slipstream.settingsreport`` answers ``{"changes": [{"name", "before", "after", "why"}]}`` with
secrets masked; ``--as-module`` answers ``{"module": text}``, a settings module with the values written out, secrets too.
"""

from __future__ import annotations

import argparse
import os
import pprint
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any

from slipstream import wire
from slipstream.overlay.change import UNSET, Change
from slipstream.overlay.resolution import resolve_from_environment
from slipstream.survey import write_answer

SECRET_NAME = re.compile(r"PASS|SECRET|TOKEN|API|AUTH|SIGNATURE|(?<!^)_KEY$|^KEY$|DSN", re.IGNORECASE)
PUBLIC_NAMES = ("AUTHENTICATION_BACKENDS", "AUTH_USER_MODEL", "AUTH_PASSWORD_VALIDATORS", "PASSWORD_HASHERS")
SECRET_IN_URL = re.compile(r"(?<=://)([^/@\s:]*):[^@\s]*@")
MASK = "********"


class NotLiteral(Exception):
    """A value that cannot be written out: a function, an object of the project."""


def mask(value: Any, name: str = "") -> Any:
    """``value`` in JSON's types, with what is secret by its name and passwords in URLs replaced."""
    if value is UNSET or value is None:
        return None
    if name and name not in PUBLIC_NAMES and SECRET_NAME.search(name) and isinstance(value, (str, bytes)) and value:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): mask(item, str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [mask(item) for item in value]
    if isinstance(value, (bool, int, float)):
        return value
    return SECRET_IN_URL.sub(rf"\1:{MASK}@", str(value))


def report(changes: Iterable[Change]) -> list[dict[str, Any]]:
    return [
        {"name": one.name, "before": mask(one.before, one.name), "after": mask(one.after, one.name), "why": one.why}
        for one in changes
    ]


def literal(value: Any) -> Any:
    """``value`` in types that Python can read back from their text; paths and lazy strings become strings."""
    if value is None or isinstance(value, (bool, int, float, str, bytes)):
        return value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return {literal(key): literal(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set)):
        return type(value)(literal(item) for item in value)
    if type(value).__name__ == "__proxy__":
        return str(value)
    raise NotLiteral(type(value).__name__)


def write_module(settings: str, changes: Iterable[Change]) -> str:
    """Text of a settings module: the project's own, then each change with its reason beside it. It holds secrets."""
    lines = [
        f'"""Settings of {settings}, the values of the stack written out. It holds passwords: keep it to yourself."""',
        "",
        f"from {settings} import *  # noqa: F403",
    ]
    for one in changes:
        lines += ["", f"# {one.why}"]
        try:
            lines.append(f"{one.name} = {pprint.pformat(literal(one.after), sort_dicts=False, width=100)}")
        except NotLiteral as error:
            lines.append(f"# {one.name} holds a {error} that cannot be written out: it stays as the project has it.")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {wire.SETTINGS_REPORT_MODULE}", description=__doc__)
    parser.add_argument("--as-module", action="store_true", help="a settings module with every changed value, secrets too")
    given = parser.parse_args()
    changes = resolve_from_environment().changes
    if given.as_module:
        write_answer({"module": write_module(os.environ[wire.SETTINGS_VARIABLE], changes)})
    else:
        write_answer({"changes": report(changes)})
    return 0


if __name__ == "__main__":
    sys.exit(main())
