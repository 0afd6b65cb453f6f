"""HAProxy passes the contract of every product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from contract_suite import ProductContract
from origin import front_stack
from workshop import free_port, running, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.accelerator import varnish
from slipstream_ops.layers.edge import haproxy
from slipstream_ops.layers.edge.haproxy.sizes import PAGE_LIMIT_BYTES
from slipstream_ops.layers.edge.timeouts import Timeouts
from slipstream_ops.layers.edge.vitals import EdgeVitals
from slipstream_ops.placement import Endpoint, Stack


class TestHaproxy(ProductContract):
    layer = "edge"
    server = "haproxy"
    recorded = "haproxy.txt"
    vitals_type = EdgeVitals

    def make_stack(self, folder: Path) -> Stack:
        return front_stack(folder, ports=(free_port(), free_port()))

    def assert_recorded(self, vitals: Any) -> None:
        assert vitals.version.startswith("2.6")
        assert vitals.connections_max == 8000
        assert [entry.name for entry in vitals.entries] == ["visitors", "apps"]
        assert vitals.entries[0].answers["2xx"] == 7 and vitals.entries[0].answers["3xx"] == 1
        pools = {pool.name: pool for pool in vitals.pools}
        assert set(pools) == {"pages", "apps", "last_resort", "upgrades"}
        assert pools["apps"].servers_up == 2 and pools["apps"].requests == 5
        fallback = pools["pages"].servers[1]
        assert (fallback.name, fallback.is_backup, fallback.state) == ("fallback", True, "unchecked")
        assert pools["apps"].servers[0].check == "L7OK" and pools["apps"].servers[0].requests_max == 2


def configuration(stack: Stack) -> str:
    return haproxy.render(stack, stack.hosts[0])[0].content


@pytest.mark.parametrize("seconds", [2, 30, 600])
def test_each_layer_waits_longer_than_the_one_behind(seconds: int) -> None:
    times = Timeouts(seconds)
    assert seconds < times.app < times.accelerator < times.edge
    assert times.accelerator > times.queue + times.connect + times.app
    with temporary_folder() as folder:
        stack = front_stack(folder, {"appserver": {"request_timeout_seconds": seconds}})
        assert f"timeout server {times.edge}s" in configuration(stack)
        rules = {file.path.name: file.content for file in varnish.render(stack, stack.hosts[0])}
        assert f".first_byte_timeout = {times.accelerator}s;" in rules["backends.vcl"]


def test_runs_without_any_privilege() -> None:
    """As somebody who is not root runs it: nothing in the configuration asks for more."""
    with temporary_folder() as folder:
        stack = front_stack(folder, is_root=False)
        assert "    user " not in configuration(stack) and "    group " not in configuration(stack)
        for file in haproxy.render(stack, stack.hosts[0]):
            execution.write_file(file)
        (service,) = haproxy.services(stack, stack.hosts[0])
        with running(replace(service, drops_itself=False), folder / "log"):
            assert execution.exchange(haproxy.vitals_sources(stack, stack.hosts[0])[0].ask)  # type: ignore[arg-type]
        assert "WARNING" not in (folder / "log").read_text().replace("Exiting Master process", "").split("Loading success")[0]


def test_passes_its_checker_in_every_shape() -> None:
    shapes: list[dict[str, Any]] = [
        {"edge": {"trusted_proxies": ["10.0.0.0/8", "2001:db8::/32", "192.0.2.7/24"]}},
        {"site": {"names": ["*.example.org"]}},
        {"site": {"mode": "observe"}},
        {"appserver": {"processes": 1}},
    ]
    for config in shapes:
        for layers in ({"edge", "accelerator", "appserver"}, {"edge", "appserver"}):
            with temporary_folder() as folder:
                stack = front_stack(folder, config, (free_port(),))
                stack = replace(
                    stack,
                    hosts=(replace(stack.hosts[0], layers=frozenset(layers)),),
                    endpoints={**stack.endpoints, "edge.http": Endpoint("::", 80), "edge.https": Endpoint("0.0.0.0", 443)},
                )
                for file in haproxy.render(stack, stack.hosts[0]):
                    execution.write_file(file)
                result = execution.run(haproxy.check(stack, stack.hosts[0])[0])
                assert result.succeeded and "WARNING" not in result.transcript, result.transcript
                assert ("send-proxy-v2" in configuration(stack)) == ("accelerator" in layers)
                assert ("method PURGE" in configuration(stack)) == ("accelerator" not in layers)


def test_an_error_page_that_does_not_fit_is_replaced_by_a_plain_one() -> None:
    with temporary_folder() as folder:
        stack = front_stack(folder, ports=(free_port(),))
        errors = stack.state.rendered / "errors"
        errors.mkdir(parents=True)
        (errors / "503.html").write_text("x" * (PAGE_LIMIT_BYTES + 1))
        (errors / "404.html").write_text("y" * PAGE_LIMIT_BYTES)
        pages = {file.path.name: file.content for file in haproxy.render(stack, stack.hosts[0])}
        assert "Temporarily unavailable" in pages["503.html"] and pages["404.html"].startswith("yyy")
        for file in haproxy.render(stack, stack.hosts[0]):
            execution.write_file(file)
        assert execution.run(haproxy.check(stack, stack.hosts[0])[0]).succeeded
