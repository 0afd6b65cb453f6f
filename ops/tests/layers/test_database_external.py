"""The project's own database: nothing of it is started, rendered, offered or measured."""

from __future__ import annotations

from pathlib import Path

from contract_suite import ProductContract
from workshop import make_stack

from slipstream_ops.layers.database import external
from slipstream_ops.placement import Stack


class TestDatabaseExternal(ProductContract):
    layer, server = "database", "external"

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(folder, {"database": {"server": "external"}}, layers=frozenset({"database", "cache"}))

    def test_the_project_keeps_what_it_has(self, stack: Stack) -> None:
        host = stack.hosts[0]
        assert external.offer(stack, host) is None
        assert external.services(stack, host) == external.render(stack, host) == external.vitals_sources(stack, host) == ()
        assert external.UNHURRIED == {}
