"""The broker's node: where its files and ports are, and Erlang carried out in it as commands."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from slipstream_ops.layers.contract import Command, Requirement
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Stack

PROGRAMS = Path("/usr/lib/rabbitmq/bin")
"""Where Debian's and RabbitMQ's own packages put the programs; those in /usr/sbin insist on a system user of their own."""

REQUIREMENTS = (
    Requirement("rabbitmq-server", "rabbitmq-server", (str(PROGRAMS),)),
    Requirement("epmd", "erlang-base", ("/usr/lib/erlang/bin",)),
    Requirement("erl_call", "erlang-base", ("/usr/lib/erlang/bin",)),
)
NODE = "slipstream@localhost"
"""The same in every stack: each has a register of nodes of its own, and the files of a node belong to its name."""

VHOST, USER = "site", "slipstream_app"


def binary(text: str) -> str:
    """``text`` as an Erlang binary, whatever characters it has."""
    return f"<<{','.join(str(byte) for byte in text.encode())}>>"


@dataclass(frozen=True)
class Node:
    stack: Stack

    @property
    def rendered(self) -> Path:
        return self.stack.state.rendered / "broker"

    @property
    def home(self) -> Path:
        """Folder of the cookie."""
        return self.rendered / "home"

    @property
    def data(self) -> Path:
        return self.stack.state.data / "broker"

    @property
    def names_port(self) -> int:
        return self.stack.endpoint("broker.names").port

    @property
    def distribution_port(self) -> int:
        return self.stack.endpoint("broker.node").port

    @property
    def cookie(self) -> str:
        """Known to the tool alone: made from a secret that no process of the project is ever given."""
        secret = self.stack.secrets.database_owner_password
        return hmac.new(secret.encode(), b"broker cookie", hashlib.sha256).hexdigest()

    def ask(self, expression: str, why: str, timeout_seconds: int = 5) -> Command:
        """``expression`` (Erlang that gives text) evaluated in the node, the text on standard output.

        erl_call is a program of 1 ms; rabbitmqctl makes the same calls by an Erlang of its own, for 0.5 s of processor time.
        """
        question = (
            f'try io:format("~ts~n", [begin {expression} end]) '
            'catch Kind:Reason -> io:format("failed: ~p~n", [{Kind, Reason}]) end.\n'  # a last line without end is not read
        )
        return Command(
            (
                "/bin/sh",
                "-c",
                fill(__package__ or "", "ask.sh"),
                "ask",
                str(self.home),
                str(self.distribution_port),
                str(timeout_seconds),
            ),
            why=why,
            account="broker",
            timeout_seconds=timeout_seconds + 5,
            stdin=question,
        )
