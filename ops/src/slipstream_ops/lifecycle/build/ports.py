"""Addresses for every service: the remembered one, the preferred one, or the next that is free; who holds a busy one is said."""

from __future__ import annotations

import errno
import json
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import write_file
from slipstream_ops.layers.contract import EndpointNeed, File
from slipstream_ops.placement import Endpoint, Host, State

SEARCHED_PORTS = 200
"""How far above the preferred port a free one is looked for."""


@dataclass(frozen=True)
class Assignment:
    """The endpoints by name, and a sentence for each one that could not have its preferred port."""

    endpoints: dict[str, Endpoint]
    notes: tuple[str, ...]


def is_free(address: str, port: int) -> bool:
    return _refusal(address, port) is None


def _refusal(address: str, port: int) -> int | None:
    """None when ``port`` can be opened on ``address``, else the error number of the attempt."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or errno.EADDRINUSE
    return None


def refuse_foreign(address: str, refused: int | None, doing: str) -> None:
    """Raise ``Complaint`` when a port was refused because the address is not this machine's: no other port will do."""
    if refused == errno.EADDRNOTAVAIL:
        raise Complaint(doing, f"{address} is no address of this machine", "Correct address under [edge] in slipstream.toml")


def refuse_pinned(address: str, need: EndpointNeed) -> None:
    """Raise ``Complaint`` when the one port that ``need`` accepts cannot be opened: held, privileged, or a foreign address."""
    doing = f"taking port {need.preferred} for {need.name}"
    refused = _refusal(address, need.preferred)
    if refused == errno.EACCES:
        raise Complaint(
            doing, "an ordinary user may not open ports under 1024 here", "Choose a higher port, or run slipstream as root"
        )
    refuse_foreign(address, refused, doing)
    if refused is not None:
        raise Complaint(
            doing,
            f"{holder_of(need.preferred)} already listens there",
            "Stop it, or choose another port in slipstream.toml or with --port",
        )


_claims: dict[int, socket.socket] = {}
"""Ports that this process has chosen and whose services do not listen yet; let go when it ends."""


def claim(port: int) -> bool:
    """Choose ``port`` for this process; False when another `slipstream` on this machine has just chosen it.

    The claim is the name of a socket in Linux's abstract namespace: it exists once, and goes with its process.
    """
    if port in _claims:
        return True
    marker = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        marker.bind(f"\0slipstream-port-{port}")
    except OSError:
        marker.close()
        return False
    _claims[port] = marker
    return True


def holder_of(port: int) -> str:
    """Who listens on ``port``: "python3 (pid 812)", or that it cannot be seen without being root."""
    try:
        for connection in psutil.net_connections(kind="tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.laddr.port == port:
                if connection.pid is None:
                    return "a process of another user"
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        pass
    return "another process"


def assign(needs: Iterable[EndpointNeed], host: Host, public_address: str, state: State, is_running: bool) -> Assignment:
    """Give every need an address on ``host``. A running stack keeps its own; a pinned port that is busy is a ``Complaint``."""
    path = state.root / "ports.json"
    remembered = _read(path)
    endpoints: dict[str, Endpoint] = {}
    notes: list[str] = []
    taken: set[int] = {need.preferred for need in needs if need.pinned}
    for need in needs:
        address = public_address if need.public else host.address
        old = remembered.get(need.name)
        if need.pinned:
            is_ours = is_running and need.preferred == old
            if not is_ours:
                refuse_pinned(address, need)
            port = need.preferred
        elif old is not None and old not in taken and (is_running or (is_free(address, old) and claim(old))):
            port = old
        else:
            port = _next_free(address, need.preferred, taken)
            if port != need.preferred and need.public and need.preferred not in taken:
                notes.append(f"Port {need.preferred} is held by {holder_of(need.preferred)}; {need.name} takes {port}.")
        taken.add(port)
        endpoints[need.name] = Endpoint(address, port, state.run / need.socket if need.socket else None)
    write_file(File(path, json.dumps({name: e.port for name, e in endpoints.items()}, indent=1, sort_keys=True) + "\n"))
    return Assignment(endpoints, tuple(notes))


def _next_free(address: str, preferred: int, taken: set[int]) -> int:
    refuse_foreign(address, _refusal(address, preferred), f"looking for a free port on {address}")
    for port in range(preferred, min(preferred + SEARCHED_PORTS, 65536)):
        if port not in taken and is_free(address, port) and claim(port):
            return port
    raise Complaint(
        f"looking for a free port on {address}",
        f"all of {preferred} to {preferred + SEARCHED_PORTS} are busy",
        "Free one, or write one in the stack file",
    )


def _read(path: Path) -> dict[str, int]:
    try:
        data = json.loads(path.read_text())
        return {str(name): int(port) for name, port in data.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}
