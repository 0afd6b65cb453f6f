"""``cache bump``: one logical cache is made new at once, and the work that this causes is said before it arrives."""

from __future__ import annotations

from dataclasses import dataclass

from slipstream.wire import BUMPING_MODULE
from slipstream_ops.complaint import Complaint
from slipstream_ops.lifecycle.run import application
from slipstream_ops.placement import Host, Stack


@dataclass(frozen=True)
class Bumped:
    """``values`` will be computed again as they are asked for; ``renewed`` are the servers that know."""

    name: str
    values: int | None
    renewed: tuple[str, ...]


def bump(stack: Stack, host: Host, name: str) -> Bumped:
    """Make the cache with this alias in CACHES new, for every process; ``Complaint`` for an unknown one or a deaf server."""
    doing = f"bumping the cache {name}"
    result, answer = application.ask_runtime(application.program(stack, host, BUMPING_MODULE, (name,), doing))
    if not isinstance(answer, dict):
        raise Complaint(doing, application.last_line(result), "The error is the project's own", result.transcript[-4000:])
    if "problem" in answer:
        raise Complaint(doing, answer["problem"])
    if answer["unreached"]:
        raise Complaint(
            doing,
            f"not reached: {', '.join(answer['unreached'])}",
            "Try again when the server is back: old values would return with it",
        )
    return Bumped(answer["name"], answer["values"], tuple(answer["renewed"]))
