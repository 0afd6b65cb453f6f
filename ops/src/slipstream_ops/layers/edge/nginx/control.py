"""Changes to one app server's share of the traffic at run time: its own file is rewritten, and nginx reads it again."""

from __future__ import annotations

from slipstream_ops.layers.contract import Action, Command, Exchange, ExchangeProbe, Signal, Wait, WriteFile
from slipstream_ops.layers.edge.nginx.rendering import (
    configuration_of,
    data_folder_of,
    generation_file,
    run_folder_of,
    share_file,
    stats_socket_of,
)
from slipstream_ops.placement import Host, Stack


def check_configuration(stack: Stack) -> Command:
    # nginx checks by doing all but answering: the folders of its sockets and temporary files have to be there.
    # -e: where it writes before it has read where to write.
    script = 'mkdir -p "$1" "$2" && exec nginx -t -q -e stderr -c "$3"'
    paths = (run_folder_of(stack), data_folder_of(stack), configuration_of(stack))
    return Command(
        ("sh", "-c", script, "check", *map(str, paths)),
        "checking the edge's configuration",
        timeout_seconds=30.0,
    )


def take_over(stack: Stack, generation: str) -> tuple[Action, ...]:
    """New workers with what is written now; the old ones finish what they have. Waits until the new ones answer."""
    asked = Exchange(stats_socket_of(stack), b"GET /generation HTTP/1.0\r\n\r\n")
    answers = ExchangeProbe(asked, f"generation {generation}".encode())
    return (
        check_configuration(stack),
        Signal("edge", "HUP"),
        Wait(answers, "the edge takes its configuration over", timeout_seconds=15.0),
    )


def _give_share(stack: Stack, server: str, percent: int, what: str) -> tuple[Action, ...]:
    generation = f"{what} {server}"
    return (
        WriteFile(share_file(stack, server, percent)),
        WriteFile(generation_file(stack, generation)),
        *take_over(stack, generation),
    )


def drain(stack: Stack, host: Host, server: str) -> tuple[Action, ...]:
    """Give ``server`` ("app-1") no new request; those it has are finished. A reload of the edge ends this."""
    return _give_share(stack, server, 0, "drain")


def ready(stack: Stack, host: Host, server: str) -> tuple[Action, ...]:
    """Give ``server`` requests again, its full share at once: nginx has no slow start."""
    return _give_share(stack, server, 100, "ready")


def set_weight(stack: Stack, host: Host, server: str, percent: int) -> tuple[Action, ...]:
    """Give ``server`` ``percent`` (0 to 100) of its configured share of the requests."""
    if not 0 <= percent <= 100:
        raise ValueError(f"a weight is 0 to 100 percent, not {percent}")
    return _give_share(stack, server, percent, f"weight {percent}")
