"""systemd units for servers, rendered from the same ``Service`` values as the local process manager's sections."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from slipstream_ops.execution import ACCOUNT_PREFIX, SYSTEM_FOLDERS
from slipstream_ops.layers.contract import File, Service
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import State


def render(services: Iterable[Service], state: State, folder: Path) -> tuple[File, ...]:
    """One unit a service and a target that starts them all; ``folder`` is where they are written (/etc/systemd/system)."""
    listed = list(services)
    files = [
        File(
            folder / f"slipstream-{service.name}.service",
            fill(
                __package__ or __name__,
                "service.j2",
                service=service,
                after=[other.name for other in listed[:index] if other.layer != service.layer],
                command=" ".join(_quote(part) for part in service.command),
                environment=[
                    _quote(f"{name}={value}") for name, value in sorted({"PATH": SYSTEM_FOLDERS, **service.environment}.items())
                ],
                user=None if service.drops_itself else ACCOUNT_PREFIX + service.account,
                directory=service.directory or state.root,
                kill_mode="mixed",
                shares_tmp=str(state.run).startswith("/tmp"),
            ),
        )
        for index, service in enumerate(listed)
    ]
    target = fill(__package__ or __name__, "target.j2", services=listed)
    return (*files, File(folder / "slipstream.target", target))


def _quote(text: str) -> str:
    """systemd's own quoting: double quotes, backslash escapes, and %% for a percent sign, $$ for a dollar."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(c in text for c in " \t'\"\\;") or not text else escaped
