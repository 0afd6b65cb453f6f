"""``eject``: plain configuration, systemd units and a settings module that the user owns; nothing of it needs the tool."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from slipstream.wire import OVERLAY_VARIABLE, SETTINGS_REPORT_MODULE, SETTINGS_VARIABLE
from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import make_folder, write_file
from slipstream_ops.layers.contract import File, Service
from slipstream_ops.lifecycle.build.assemble import Assembled
from slipstream_ops.lifecycle.run import application
from slipstream_ops.lifecycle.run.up import write_application_files
from slipstream_ops.placement import Stack, State, products_on, services_on
from slipstream_ops.supervision import systemd

SETTINGS_NAME = "settings_stack"
COPIED_FOLDERS = ("edge", "errors")
"""Made by the lifecycle rather than by a product: the certificate and the site's error pages."""


def eject(assembled: Assembled, target: Path) -> list[Path]:
    """Write everything into ``target``; the paths written. Paths inside the files point into ``target`` as well."""
    stack = ejected_stack(assembled.stack, target)
    host = stack.hosts[0]
    for name in COPIED_FOLDERS:
        source = assembled.stack.state.rendered / name
        if source.is_dir():
            shutil.copytree(source, stack.state.rendered / name)
    if assembled.stack.state.lent.is_dir():
        shutil.copytree(assembled.stack.state.lent, stack.state.lent, ignore=shutil.ignore_patterns("__pycache__"))
    written = [keep(File(target / f"{SETTINGS_NAME}.py", settings_module(stack), is_secret=True))]
    for layer, product in products_on(stack, host):
        if layer != "application":
            written += [keep(file) for file in product.render(stack, host)]
    services = [with_own_settings(service, target) for service in services_on(stack, host)]
    written += [keep(unit) for unit in systemd.render(services, stack.state, target / "units")]
    for folder in (stack.state.data, stack.state.logs, stack.state.run, stack.state.static):
        make_folder(folder)
    written.append(keep(File(target / "README.md", readme(stack, services))))
    return written


def ejected_stack(stack: Stack, target: Path) -> Stack:
    """The same stack living in ``target``, sending its mail where the project's own settings say: no local sink."""
    state = State(target, target / "run")
    endpoints = {
        name: replace(e, socket=state.run / e.socket.relative_to(stack.state.run)) if e.socket else e
        for name, e in stack.endpoints.items()
    }
    mail = stack.config.mail.model_copy(update={"server": "external"})
    hosts = tuple(replace(host, layers=host.layers - {"mail"}) for host in stack.hosts)
    config = stack.config.model_copy(update={"mail": mail})
    return replace(stack, config=config, state=state, endpoints=endpoints, hosts=hosts)


def with_own_settings(service: Service, target: Path) -> Service:
    """The project's processes use the settings module that was written, found beside the units."""
    if SETTINGS_VARIABLE not in service.environment:
        return service
    dropped = (SETTINGS_VARIABLE, OVERLAY_VARIABLE)
    environment = {name: value for name, value in service.environment.items() if name not in dropped}
    environment["DJANGO_SETTINGS_MODULE"] = SETTINGS_NAME
    environment["PYTHONPATH"] = ":".join(part for part in (str(target), environment.get("PYTHONPATH", "")) if part)
    return replace(service, environment=environment)


def keep(file: File) -> Path:
    """Owned by the caller: whoever installs the files on a server gives them to the services' users there."""
    write_file(replace(file, account=None))
    return file.path


def settings_module(stack: Stack) -> str:
    """A settings module with every value the stack changes written out, its reason beside it."""
    host = replace(stack.hosts[0], is_root=False)
    write_application_files(stack, host, account=None)
    command = application.program(stack, host, SETTINGS_REPORT_MODULE, ("--as-module",), "writing the settings module")
    result, answer = application.ask_runtime(replace(command, account=None))
    shutil.rmtree(stack.state.overlay.parent)
    if not isinstance(answer, dict) or "module" not in answer:
        raise Complaint(command.why, application.last_line(result), "The error is the project's own", result.transcript[-4000:])
    return str(answer["module"])


def readme(stack: Stack, services: list[Service]) -> str:
    products: list[str] = []
    for layer, product in products_on(stack, stack.hosts[0]):
        title: Any = product.TITLE
        products.append(f"- {layer}: {title}")
    units = "\n".join(f"- `units/slipstream-{service.name}.service` (user slipstream-{service.account})" for service in services)
    return f"""# The stack of {stack.project.root.name}, ejected

Plain configuration of the servers that `slipstream up` ran, in `rendered/`, each unusual line with its reason:

{chr(10).join(products)}

## Use it
1. Move this folder where it is to stay before anything else: its files name each other by absolute paths
   (`grep -rl {stack.state.root} . | xargs sed -i 's#{stack.state.root}#/srv/stack#g'`).
2. Make the system users that the units name (`useradd --system --user-group slipstream-app` and so on). Give each service its
   folder below `data/` and `run/`, and those files in `rendered/` of mode 0600 that it reads: they hold passwords.
3. `cp units/* /etc/systemd/system/ && systemctl daemon-reload && systemctl enable --now slipstream.target`

`{SETTINGS_NAME}.py` is the project's settings with the stack's values written out; the units use it. It names the library
`slipstream` (BSD-3-Clause; a copy lies in `lent/`): install it in the project, or replace what it is used for.
Mail goes where the project's own settings send it: the local sink was not ejected.

## The units, in the order of their start
{units}

Files of mode 0600 hold secrets: never commit them.
"""
