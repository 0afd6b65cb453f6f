"""Varnish passes the contract of every product."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from contract_suite import ProductContract
from origin import front_stack
from workshop import free_port, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.accelerator import varnish
from slipstream_ops.layers.accelerator.vitals import AcceleratorVitals
from slipstream_ops.placement import Stack


class TestVarnish(ProductContract):
    layer = "accelerator"
    server = "varnish"
    recorded = "varnish.json"
    vitals_type = AcceleratorVitals

    def make_stack(self, folder: Path) -> Stack:
        return front_stack(folder, ports=(free_port(), free_port()))

    def assert_recorded(self, vitals: Any) -> None:
        assert (vitals.hits, vitals.misses, vitals.passes) == (1, 4, 1)
        assert vitals.hit_ratio == 1 / 6
        assert vitals.objects == 3 and vitals.objects_evicted == 0
        assert vitals.memory_free_bytes > 100 << 20
        assert vitals.threads == 100 and vitals.sessions_dropped == 0
        backends = {backend.name: backend for backend in vitals.backends}
        assert backends["apps"].is_healthy and backends["apps"].requests == 5
        assert backends["apps_unprobed"].is_healthy is None


def test_passes_its_checker_in_every_shape() -> None:
    shapes: list[dict[str, Any]] = [
        {"site": {"mode": "observe", "ignored_cookies": [], "ignored_parameters": []}},
        {"site": {"mode": "fresh", "redirect_to_canonical": True, "names": ["*.example.org", "a.example.org"]}},
        {"accelerator": {"purgers": ["10.1.2.3/8", "::1", "2001:db8::/32", "0.0.0.0/0"], "memory": "1 MB"}},
        {"accelerator": {"purgers": []}, "site": {"redirects": {"/a'(b)*": "/c;d,$&"}, "missing": ["/.env", "/a(b)*+$"]}},
    ]
    for config in shapes:
        for layers in ({"edge", "accelerator", "appserver"}, {"accelerator"}):
            with temporary_folder() as folder:
                stack = front_stack(folder, config)
                stack = replace(stack, hosts=(replace(stack.hosts[0], layers=frozenset(layers)),))
                for file in varnish.render(stack, stack.hosts[0]):
                    execution.write_file(file)
                result = execution.run(varnish.check(stack, stack.hosts[0])[0])
                assert result.succeeded, result.transcript


def test_secrets_are_in_files_of_the_accelerator_alone() -> None:
    with temporary_folder() as folder:
        stack = front_stack(folder)
        for file in varnish.render(stack, stack.hosts[0]):
            holds_secret = any(
                secret in file.content for secret in (stack.secrets.bypass_secret, stack.secrets.accelerator_secret)
            )
            assert file.is_secret == holds_secret, file.path
