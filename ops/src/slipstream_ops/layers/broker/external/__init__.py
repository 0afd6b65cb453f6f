"""A broker that others run, by the URL in the stack file: any that Celery speaks to; a Redis is asked whether it answers."""

from __future__ import annotations

from typing import Any

from slipstream_ops.layers.broker import redis
from slipstream_ops.layers.broker.vitals import BrokerVitals
from slipstream_ops.layers.cache.redis.remote import exchange_with, is_redis, wait_for_answer
from slipstream_ops.layers.contract import Action, Command, EndpointNeed, File, Requirement, Service, Sized, VitalsSource, Wait
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

TITLE = "external broker"
REQUIREMENTS: tuple[Requirement, ...] = ()


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return ()


def sizes(stack: Stack, host: Host) -> tuple[Sized, ...]:
    return ()


def render(stack: Stack, host: Host) -> tuple[File, ...]:
    return ()


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return ()


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    return ()


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    return ()


def preflight(stack: Stack, host: Host) -> tuple[Wait, ...]:
    """A Redis lets us in and answers; of other brokers Celery itself tells when they do not."""
    url = stack.config.broker.url
    return wait_for_answer(url, "broker") if is_redis(url) else ()


def offer(stack: Stack, host: Host) -> dict[str, Any]:
    """``{"url": url}`` as the stack file writes it."""
    return {"url": stack.config.broker.url}


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    """A Redis tells the same as the stack's own; other brokers are not asked."""
    url = stack.config.broker.url
    exchange = exchange_with(url, *redis.questions(stack)) if is_redis(url) else None
    return (VitalsSource("broker", exchange),) if exchange else ()


def parse(raw: str) -> BrokerVitals:
    return redis.parse(raw)
