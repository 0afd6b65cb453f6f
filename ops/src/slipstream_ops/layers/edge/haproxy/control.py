"""Changes to one app server's share of the traffic at run time, without a reload: values for the stats socket."""

from __future__ import annotations

from slipstream_ops.layers.contract import Action, Exchange
from slipstream_ops.layers.edge.haproxy.rendering import stats_socket_of
from slipstream_ops.placement import Host, Stack


def _tell(stack: Stack, command: str) -> tuple[Action, ...]:
    return (Exchange(stats_socket_of(stack), command.encode() + b"\n"),)


def drain(stack: Stack, host: Host, server: str) -> tuple[Action, ...]:
    """Give ``server`` ("app-1") no new request; those it has are finished. A reload of the edge ends this."""
    return _tell(stack, f"set server apps/{server} state drain")


def ready(stack: Stack, host: Host, server: str) -> tuple[Action, ...]:
    """Give ``server`` requests again; it is ramped up over the slow start."""
    return _tell(stack, f"set server apps/{server} state ready")


def set_weight(stack: Stack, host: Host, server: str, percent: int) -> tuple[Action, ...]:
    """Give ``server`` ``percent`` (0 to 100) of its configured share of the requests."""
    if not 0 <= percent <= 100:
        raise ValueError(f"a weight is 0 to 100 percent, not {percent}")
    return _tell(stack, f"set server apps/{server} weight {percent}%")
