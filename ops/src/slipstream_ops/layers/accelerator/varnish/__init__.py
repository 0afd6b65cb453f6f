"""Varnish as the accelerator: what the application lets be shared is answered from memory, and outlives the application."""

from __future__ import annotations

import json

from slipstream import wire
from slipstream_ops.layers.accelerator.health import ACCELERATOR_HEALTH_PATH
from slipstream_ops.layers.accelerator.varnish.reading import parse
from slipstream_ops.layers.accelerator.varnish.rendering import (
    main_file_of,
    reload_script_of,
    render,
    secret_of,
    work_folder_of,
)
from slipstream_ops.layers.accelerator.varnish.sizes import THREAD_POOLS, sizes
from slipstream_ops.layers.contract import (
    Action,
    Command,
    EndpointNeed,
    HttpProbe,
    Lent,
    Requirement,
    RunningProbe,
    Service,
    VitalsSource,
)
from slipstream_ops.placement import Host, Stack
from slipstream_ops.stack import StackFile

__all__ = [
    "LENDS",
    "REQUIREMENTS",
    "TITLE",
    "check",
    "endpoints",
    "parse",
    "reload",
    "render",
    "services",
    "sizes",
    "vitals_sources",
]

TITLE = "Varnish"
REQUIREMENTS = (
    Requirement("varnishd", "varnish"),
    Requirement("cc", "gcc"),  # Varnish compiles its rules
)
LENDS: tuple[Lent, ...] = ()

PARAMETERS = (
    "thread_pool_min",
    "thread_pool_max",
    "listen_depth",
    "vsl_space",
    "http_req_hdr_len",
    "http_resp_hdr_len",
    "http_resp_size",
    "http_max_hdr",
    "http_req_size",
    "workspace_client",
    "workspace_backend",
    "timeout_idle",
    "backend_idle_timeout",
    "first_byte_timeout",
    "pcre2_match_limit",
)

LOG_FIELDS = {
    "time": "%{%Y-%m-%dT%H:%M:%SZ}t",
    "layer": "accelerator",
    "request_id": f"%{{{wire.REQUEST_ID_HEADER}}}i",
    "client": "%h",
    "method": "%m",
    "host": "%{Host}i",
    "url": "%{VCL_Log:url}x",  # as cleaned by the rules: without the bypass secret
    "cache": f"%{{{wire.CACHE_HEADER}}}o",
    "handling": "%{Varnish:handling}x",
}

NO_CHECKS = f'not ReqURL eq "{ACCELERATOR_HEALTH_PATH}"'
"""The edge asks every second; that is no visit."""


def endpoints(config: StackFile, host: Host) -> tuple[EndpointNeed, ...]:
    return (
        EndpointNeed("accelerator", 8601, socket="accelerator/http.sock"),
        EndpointNeed("accelerator.admin", 8602),
    )


def check(stack: Stack, host: Host) -> tuple[Command, ...]:
    return (
        Command(("varnishd", "-C", "-f", str(main_file_of(stack))), "checking the accelerator's rules", account="accelerator"),
    )


def services(stack: Stack, host: Host) -> tuple[Service, ...]:
    numbers = {sized.name: sized.value for sized in sizes(stack, host)}
    http, admin = stack.endpoint("accelerator"), stack.endpoint("accelerator.admin")
    work = work_folder_of(stack)
    parameters = [word for name in PARAMETERS for word in ("-p", f"{name}={numbers[name]}")]
    return (
        Service(
            name="accelerator",
            layer="accelerator",
            command=(
                "varnishd", "-F", "-n", str(work), "-f", str(main_file_of(stack)),
                "-a", f"edge={http.socket},PROXY,mode=666",
                "-a", f"direct={http.netloc},HTTP",
                "-T", admin.netloc, "-S", str(secret_of(stack)),
                "-s", f"s0=malloc,{numbers['storage']}",
                "-p", f"thread_pools={THREAD_POOLS}",
                # The application decides what is shared: without a word of it, nothing is. Grace is set by the rules.
                "-p", "default_ttl=0", "-p", "default_grace=0", "-p", "default_keep=0",
                # A socket that is missing for a moment (the balancer restarts) is tried again soon.
                "-p", "backend_local_error_holddown=1",
                *parameters,
            ),
            account="accelerator",
            probe=HttpProbe((http.address, http.port), ACCELERATOR_HEALTH_PATH),
            folders=(work.parent, work),
            open_files=int(numbers["thread_pool_max"]) * THREAD_POOLS * 3,
            start_timeout_seconds=45,  # the rules are compiled first
            listens=("accelerator", "accelerator.admin"),
        ),
        Service(
            name="accelerator-log",
            layer="accelerator",
            command=("varnishncsa", "-n", str(work), "-t", "off", "-j", "-q", NO_CHECKS, "-F", log_format()),
            account="accelerator",
            probe=RunningProbe("accelerator-log"),
            follows="accelerator",  # without a running Varnish it finds no log and ends
        ),
    )  # fmt: skip


def log_format() -> str:
    """One JSON object a request; numbers are not quoted (varnishncsa writes null where there is none).

    The writer is a process of its own that reads the log in shared memory: 3 to 4 microseconds of processor time a
    request beside Varnish's 15 to 22 (measured with hits of 8 KB), and a visitor never waits for it.
    """
    strings = [f"{json.dumps(name)}:{json.dumps(value)}" for name, value in LOG_FIELDS.items()]
    numbers = ['"status":%s', '"bytes_out":%O', '"microseconds":%D']
    return "{" + ",".join(strings + numbers) + "}"


def reload(stack: Stack, host: Host) -> tuple[Action, ...]:
    """The rendered rules come into force; every copy stays, and nothing is done when they did not change."""
    return (Command((str(reload_script_of(stack)),), "reloading the accelerator's rules", account="accelerator"),)


def vitals_sources(stack: Stack, host: Host) -> tuple[VitalsSource, ...]:
    command = Command(
        ("varnishstat", "-n", str(work_folder_of(stack)), "-1", "-j"),
        "asking the accelerator for its numbers",
        account="accelerator",
    )
    return (VitalsSource("accelerator", command),)
