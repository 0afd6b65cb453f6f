"""A host's memory and cores -> one budget -> shares for its layers; the products turn their share into numbers with reasons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from slipstream_ops.layers.contract import Sized
from slipstream_ops.placement import Host

MEGABYTE = 1 << 20
GIGABYTE = 1 << 30

WEIGHTS = {"database": 35, "accelerator": 20, "appserver": 25, "cache": 10, "workers": 8, "broker": 2}
"""Parts of a shared host's budget. The database and the accelerator live from memory; app servers need it per process;
the cache holds small values; the broker holds a queue. The edge and the mail sink need next to nothing."""

MINIMUM_BYTES = 768 * MEGABYTE
"""Below this a host of all layers swaps rather than caches: seven services at their smallest plus Django processes."""


@dataclass(frozen=True)
class Share:
    """Memory that one layer of a host may use, in bytes."""

    bytes: int
    reason: str

    @property
    def megabytes(self) -> int:
        return self.bytes // MEGABYTE


def share_of(host: Host, layer: str, written: int | None = None) -> Share:
    """The part of ``host``'s budget that ``layer`` gets; ``written`` (from the stack file) wins."""
    if written is not None:
        return Share(written, "written in the stack file")
    present = {name: weight for name, weight in WEIGHTS.items() if name in host.layers}
    if layer not in present:
        return Share(0, f"{layer} is not on this host")
    if len(present) == 1:
        return Share(host.memory_bytes, f"{host.name} is the {layer}'s own")
    total = sum(present.values())
    part = present[layer] / total
    return Share(
        int(host.memory_bytes * part), f"{part:.0%} of {host.memory_bytes // MEGABYTE} MB that all services of {host.name} share"
    )


def app_processes(host: Host, written: int | None, instances: int) -> Sized:
    """Processes of each app-server instance. Blueprint S1: cores x 2 alone on a machine, cores + 1 beside other services."""
    if written is not None:
        return Sized("processes", written, "written in the stack file", "what is written wins")
    alone = host.layers <= {"appserver", "application"}
    wanted = host.cores * 2 if alone else host.cores + 1
    each = max(1, -(-wanted // instances))
    formula = f"ceil((cores {'x 2' if alone else '+ 1'} = {wanted}) / {instances} instances)"
    return Sized("processes", each, formula, "alone on its host" if alone else "beside other services; tuned further by load")


def format_megabytes(count: int) -> str:
    return f"{max(1, count // MEGABYTE)}MB"


def warnings_for(hosts: Iterable[Host]) -> list[str]:
    """Sentences about hosts whose budget is under what the layers need at their smallest."""
    return [
        f"{host.name} has a budget of {host.memory_bytes // MEGABYTE} MB for {len(host.layers)} layers; "
        f"under {MINIMUM_BYTES // MEGABYTE} MB everything is shrunk to its minimum and the caches hold little."
        for host in hosts
        if host.is_shared and host.memory_bytes < MINIMUM_BYTES
    ]
