"""Renders every product's files, has each product's own checker approve them, and only then puts them in place."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import make_folder, run, write_file
from slipstream_ops.layers.contract import Command, File
from slipstream_ops.placement import Host, Stack, products_on, services_on
from slipstream_ops.supervision import supervisord


@dataclass(frozen=True)
class Checked:
    """One product's checker and what it said."""

    layer: str
    server: str
    fault: Complaint | None


def render_all(stack: Stack, host: Host) -> tuple[File, ...]:
    """Files of all products and of the process manager, nothing written."""
    files = [file for _, product in products_on(stack, host) for file in product.render(stack, host)]
    return (*files, supervisord.render(services_on(stack, host), host, stack.state))


def check_all(stack: Stack, host: Host) -> list[Checked]:
    """Render into a folder of its own and ask each product's checker; the files of a running stack are not touched."""
    with tempfile.TemporaryDirectory(prefix="slipstream-check-") as name:
        aside = Path(name)
        aside.chmod(0o755)
        state = replace(stack.state, root=aside, run=aside / "run")
        make_folder(state.run)
        (aside / stack.state.lent.name).symlink_to(stack.state.lent)
        endpoints = {
            key: replace(e, socket=state.run / e.socket.relative_to(stack.state.run)) if e.socket else e
            for key, e in stack.endpoints.items()
        }
        trial = replace(stack, state=state, endpoints=endpoints)
        products = products_on(trial, host)
        for service in services_on(trial, host):
            for folder in service.folders:
                make_folder(folder, service.account)
        for _, product in products:
            for file in product.render(_with_certificate(trial, stack), host):
                write_file(file)
        commands = [
            (layer, stack.server_of(layer) or "", command)
            for layer, product in products
            for command in product.check(trial, host)
        ]
        with ThreadPoolExecutor(max_workers=4) as pool:
            faults = list(pool.map(lambda item: _fault_of(item[2]), commands))
        return [Checked(layer, server, fault) for (layer, server, _), fault in zip(commands, faults, strict=True)]


def _with_certificate(trial: Stack, stack: Stack) -> Stack:
    """The edge's certificate and the error pages are made by the lifecycle: the trial sees copies of the present ones."""
    for folder, mode in (("edge", 0o600), ("errors", 0o644)):
        source = stack.state.rendered / folder
        for path in source.glob("*.pem" if folder == "edge" else "*.html") if source.is_dir() else ():
            target = trial.state.rendered / folder / path.name
            if not target.exists():
                make_folder(target.parent)
                target.write_bytes(path.read_bytes())
                target.chmod(mode)
    return trial


def _fault_of(command: Command) -> Complaint | None:
    try:
        result = run(command)
    except Complaint as complaint:
        return complaint
    if result.succeeded:
        return None
    return Complaint(
        command.why,
        "the server's own checker refuses it",
        "This is a fault of slipstream, or of a value in slipstream.toml",
        result.transcript,
    )


def refuse_faults(checked: list[Checked]) -> None:
    """Raise the first fault found, if any."""
    for item in checked:
        if item.fault:
            raise item.fault


def write_all(stack: Stack, host: Host) -> list[Path]:
    """Put every rendered file in place; the paths that changed."""
    return [file.path for file in render_all(stack, host) if write_file(file)]
