"""How long each layer waits for the one behind it, from the one limit in the stack file: the journey of a slow request."""

from __future__ import annotations

from dataclasses import dataclass

from slipstream_ops.stack import StackFile

CONNECT_SECONDS = 3
"""Within one data centre a connection takes a millisecond; 3 s lets one lost SYN be sent again (after 1 s)."""

QUEUE_SECONDS = 10
"""Longer than that in the queue for a free app server, and the visitor has given up or has reloaded the page."""

MARGIN_SECONDS = 5
"""Between two layers, so that the inner one ends the request and logs why, and the outer one passes its answer on."""


@dataclass(frozen=True)
class Timeouts:
    """Seconds that each layer waits for an answer. Blueprint S5: edge > accelerator > balancer > app server > database."""

    request: int
    connect: int = CONNECT_SECONDS
    queue: int = QUEUE_SECONDS

    @property
    def app(self) -> int:
        """The balancer, for the first byte of an app server."""
        return self.request + MARGIN_SECONDS

    @property
    def accelerator(self) -> int:
        """The accelerator, for the balancer, whose queue and connection come first."""
        return self.app + self.queue + self.connect + MARGIN_SECONDS

    @property
    def edge(self) -> int:
        """The edge, for the accelerator."""
        return self.accelerator + MARGIN_SECONDS

    @property
    def explanation(self) -> tuple[str, ...]:
        return (
            f"app server       T = {self.request} s (it ends the request itself)",
            f"balancer         T + {MARGIN_SECONDS} = {self.app} s",
            f"accelerator      balancer + queue {self.queue} + connect {self.connect} + {MARGIN_SECONDS} = {self.accelerator} s",
            f"edge             accelerator + {MARGIN_SECONDS} = {self.edge} s",
        )


def timeouts_of(config: StackFile) -> Timeouts:
    return Timeouts(config.appserver.request_timeout_seconds)
