"""``eject``: plain configuration, systemd units and a settings module that the user owns; nothing of it needs the tool."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from slipstream.wire import SETTINGS_REPORT_MODULE

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import make_folder, write_file
from slipstream_ops.layers.contract import File
from slipstream_ops.lifecycle.build.assemble import Assembled
from slipstream_ops.lifecycle.run import application
from slipstream_ops.lifecycle.run.up import write_application_files
from slipstream_ops.placement import Stack, State, products_on, services_on
from slipstream_ops.supervision import systemd

SETTINGS_FILE = "settings_stack.py"


def eject(assembled: Assembled, target: Path) -> list[Path]:
    """Write everything into ``target``; the paths written. Paths inside the files point into ``target`` as well."""
    stack, host = assembled.stack, assembled.host
    state = State(target, target / "run")
    endpoints = {
        name: replace(e, socket=state.run / e.socket.relative_to(stack.state.run)) if e.socket else e
        for name, e in stack.endpoints.items()
    }
    owned = replace(stack, state=state, endpoints=endpoints)
    written = []
    for _, product in products_on(owned, host):
        for file in product.render(owned, host):
            written.append(keep(file))
    services = services_on(owned, host)
    for unit in systemd.render(services, state, target / "units"):
        written.append(keep(unit))
    written.append(keep(File(target / SETTINGS_FILE, settings_module(stack, assembled), is_secret=True)))
    for folder in ("data", "logs", "run"):
        make_folder(target / folder)
    written.append(keep(File(target / "README.md", readme(owned, [s.name for s in services]))))
    return written


def keep(file: File) -> Path:
    """Owned by the caller: whoever installs the files on a server gives them to the services' users there."""
    write_file(replace(file, account=None))
    return file.path


def settings_module(stack: Stack, assembled: Assembled) -> str:
    """A settings module with every value the stack changes written out, its reason beside it."""
    write_application_files(stack, assembled.host)
    command = application.program(stack, assembled.host, SETTINGS_REPORT_MODULE, ("--as-module",), "writing the settings module")
    result, answer = application.ask_runtime(command)
    if not isinstance(answer, dict) or "module" not in answer:
        raise Complaint(command.why, application.last_line(result), "The error is the project's own", result.transcript[-4000:])
    return str(answer["module"])


def readme(stack: Stack, services: list[str]) -> str:
    products: list[str] = []
    for layer, product in products_on(stack, stack.hosts[0]):
        title: Any = product.TITLE
        products.append(f"- {layer}: {title}")
    listed = "\n".join(f"- `units/slipstream-{name}.service`" for name in services)
    return f"""# The stack of {stack.project.root.name}, ejected

Plain configuration of the servers that `slipstream up` ran, in `rendered/`, each unusual line with its reason:

{chr(10).join(products)}

## Use it
1. Make the system users that the units name (`useradd --system --user-group slipstream-app` and so on) and give each service
   its folder below `data/`, `run/` and the files in `rendered/` that only it may read (mode 0600: they hold passwords).
2. `cp units/* /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now slipstream.target`
3. `{SETTINGS_FILE}` is the project's settings with the stack's values written out. Put it beside the project's own settings and
   name it in DJANGO_SETTINGS_MODULE.

## The units, in the order of their start
{listed}

Files of mode 0600 hold secrets: never commit them.
"""
