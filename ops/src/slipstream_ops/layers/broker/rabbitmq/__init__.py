"""RabbitMQ as the broker: one node of the stack's own, durable queues on disk, reached by password alone."""

from __future__ import annotations

import json
import shlex
from typing import Any
from urllib.parse import quote

from slipstream_ops.layers.broker.rabbitmq.node import NODE, PROGRAMS, REQUIREMENTS, USER, VHOST, Node, binary
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.layers.contract import (
    Action,
    Command,
    CommandProbe,
    EndpointNeed,
    Exchange,
    ExchangeProbe,
    File,
    Lent,
    Service,
    Sized,
    VitalsSource,
    Wait,
)
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Host, Stack
from slipstream_ops.sizing import share_of
from slipstream_ops.stack import StackFile

__all__ = [
    "LENDS",
    "REQUIREMENTS",
    "TITLE",
    "check",
    "endpoints",
    "offer",
    "parse",
    "reload",
    "render",
    "services",
    "sizes",
    "vitals_sources",
]

TITLE = "RabbitMQ"
LENDS: tuple[Lent, ...] = ()  # Celery brings its own client (kombu, amqp)
SMALLEST_MEGABYTES = 256
CONSUMER_TIMEOUT_MILLISECONDS = 86_400_000  # a day: longer than a task runs or waits in a worker, and yet it ends


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    """The port for the application, and two on loopback for administration: the register of nodes, and the node itself."""
    return (EndpointNeed("broker", 8621), EndpointNeed("broker.names", 8622), EndpointNeed("broker.node", 8623))


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    share = share_of(host, "broker")
    megabytes = max(SMALLEST_MEGABYTES, share.megabytes * 60 // 100)
    return (
        Sized(
            "vm_memory_high_watermark.absolute",
            f"{megabytes}MiB",
            f"60% of {share.megabytes} MB ({share.reason}), at least {SMALLEST_MEGABYTES} MB",
            "over it publishers wait; the node itself has 150 MB when idle, and collecting garbage may double the rest",
        ),
        Sized(
            "disk_free_limit.absolute",
            f"{2 * megabytes}MiB",
            "2 x the memory",
            "with less free space publishers wait: what is in memory can still be written, and the disk is never filled up",
        ),
    )


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    package, node = __package__ or __name__, Node(stack)
    configuration = fill(
        package,
        "rabbitmq.conf.j2",
        endpoint=stack.endpoint("broker"),
        vhost=VHOST,
        user=USER,
        password=stack.secrets.broker_password,
        sizes=sizes(stack, host),
        consumer_timeout_milliseconds=CONSUMER_TIMEOUT_MILLISECONDS,
    )
    start = fill(
        package,
        "start.sh.j2",
        quote=lambda path: shlex.quote(str(path)),
        home=node.home,
        names_port=node.names_port,
        distribution_port=node.distribution_port,
        node=NODE,
        rendered=node.rendered,
        configuration=node.rendered / "rabbitmq.conf",
        data=node.data,
        programs=PROGRAMS,
    )
    return (
        File(node.rendered / "rabbitmq.conf", configuration, account="broker", is_secret=True),
        File(node.rendered / "advanced.config", "[].\n"),
        File(node.rendered / "enabled_plugins", "[].\n"),
        File(node.rendered / "start.sh", start, is_executable=True),
        File(node.home / ".erlang.cookie", node.cookie, account="broker", is_secret=True),
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    """The configuration read with the server's own schema, which refuses unknown names and wrong values."""
    package, configuration = __package__ or __name__, Node(stack).rendered / "rabbitmq.conf"
    script, reader = fill(package, "check.sh"), fill(package, "check.erl")
    return (
        Command(
            ("/bin/sh", "-c", script, "check", str(PROGRAMS), reader, str(configuration)),
            why="checking the broker's configuration",
            account="broker",
            timeout_seconds=30,
        ),
    )


def _names(node: Node) -> Service:
    """Erlang's register of nodes, for this one node: a service, so that it ends with the stack."""
    question = Exchange(("127.0.0.1", node.names_port), b"\x00\x01n", timeout_seconds=2.0)  # NAMES_REQ of its protocol
    return Service(
        name="broker-names",
        layer="broker",
        command=("epmd", "-address", "127.0.0.1", "-port", str(node.names_port)),
        account="broker",
        probe=ExchangeProbe(question, node.names_port.to_bytes(4, "big")),
        listens=("broker.names",),
    )


def _probe(node: Node) -> CommandProbe:
    """True when the node takes part in everything, its queues read from the disk and its ports open."""
    return CommandProbe(node.ask("atom_to_list(rabbit:is_running())", "asking the broker for its health"), "true")


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    node = Node(stack)
    access = fill(
        __package__ or __name__,
        "access.erl.j2",
        binary=binary,
        user=USER,
        vhost=VHOST,
        password=stack.secrets.broker_password,
    )
    return (
        _names(node),
        Service(
            name="broker",
            layer="broker",
            command=("/bin/sh", str(node.rendered / "start.sh")),
            account="broker",
            probe=_probe(node),
            folders=(node.data,),
            after_start=(node.ask(access, "creating the application's user and virtual host at the broker", 20),),
            stop_timeout_seconds=60,  # TERM: connections are closed, queues are written
            start_timeout_seconds=120,  # 6 s when idle; after a kill the index of all messages is made again
            listens=("broker", "broker.node"),
        ),
    )


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """The sizes are set in the running node; everything else in rabbitmq.conf changes with the next start."""
    memory, disk = (str(sized.value) for sized in sizes(stack, host))
    change = (
        f'ok = vm_memory_monitor:set_vm_memory_high_watermark({{absolute, "{memory}"}}), '
        f'ok = rabbit_disk_monitor:set_disk_free_limit("{disk}"), "changed"'
    )
    return (
        Wait(
            CommandProbe(Node(stack).ask(change, "reloading the broker"), "changed"), "reloading the broker", timeout_seconds=10
        ),
    )


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """``{"url": url}``, the stack's virtual host in it."""
    password = quote(stack.secrets.broker_password, safe="")
    return {"url": f"amqp://{USER}:{password}@{stack.endpoint('broker').netloc}/{VHOST}"}


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    expression = fill(__package__ or __name__, "vitals.erl.j2", binary=binary, vhost=VHOST)
    return (VitalsSource("broker", Node(stack).ask(expression, "asking the broker for its numbers")),)


def parse(raw: str) -> BrokerVitals:
    """The broker's numbers from the JSON text that vitals.erl prints. Refused clients and the success of its last write are
    not counted by RabbitMQ: None."""
    return BrokerVitals(**json.loads(raw))
