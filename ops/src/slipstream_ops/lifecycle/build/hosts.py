"""This machine as a ``Host``: its cores, and the memory budget that all services on it share."""

from __future__ import annotations

import os
from pathlib import Path

import psutil

from slipstream_ops.execution import is_root
from slipstream_ops.placement import LAYERS, Host
from slipstream_ops.stack import HostSection

LOCAL_SHARE = 0.5
"""Of this machine's memory: the other half is left to the page cache and to whoever else works on it."""


def machine_memory() -> int:
    """Bytes of memory this process may use: the machine's, or its control group's limit when that is lower."""
    total = int(psutil.virtual_memory().total)
    for name in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            limit = int(Path(name).read_text())
        except (OSError, ValueError):
            continue
        total = min(total, limit)
    return total


def machine_cores() -> int:
    return len(os.sched_getaffinity(0))


def this_machine(written: HostSection) -> Host:
    """The local placement: every layer on this machine; what the stack file says wins."""
    return Host(
        name="local",
        address="127.0.0.1",
        cores=written.cores or machine_cores(),
        memory_bytes=written.memory or int(machine_memory() * LOCAL_SHARE),
        layers=frozenset(LAYERS),
        is_root=is_root(),
    )
