"""The contract that every product passes: render, its own checker, start, probe, vitals, reload, stop; one subclass a product."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
from workshop import make_stack, running_layers, temporary_folder

from slipstream_ops import execution
from slipstream_ops.layers.contract import Command, Exchange, HttpProbe, Signal, Sized, Wait
from slipstream_ops.placement import Stack, product_named


class ProductContract:
    """Subclass it as ``Test<Product>`` with ``layer`` and ``server``; override ``make_stack`` where it needs more."""

    layer: ClassVar[str]
    server: ClassVar[str]
    config: ClassVar[dict[str, Any]] = {}
    needs: ClassVar[tuple[str, ...]] = ()  # layers started before it
    recorded: ClassVar[str | None] = None  # file in recorded/ with the product's real output, read by ``parse``
    vitals_type: ClassVar[type | None] = None

    def make_stack(self, folder: Path) -> Stack:
        return make_stack(
            folder, {self.layer: {"server": self.server}, **self.config} if self.layer != "application" else self.config
        )

    @pytest.fixture
    def stack(self) -> Iterator[Stack]:
        with temporary_folder() as folder:
            yield self.make_stack(folder)

    @property
    def product(self) -> Any:
        return product_named(self.layer, self.server)

    def test_offers_every_name_of_the_contract(self) -> None:
        for name in (
            "TITLE",
            "REQUIREMENTS",
            "endpoints",
            "sizes",
            "render",
            "check",
            "services",
            "reload",
            "vitals_sources",
            "parse",
        ):
            assert hasattr(self.product, name), f"layers.{self.layer}.{self.server} has no {name}"

    def test_every_number_says_why(self, stack: Stack) -> None:
        for sized in self.product.sizes(stack, stack.hosts[0]):
            assert isinstance(sized, Sized)
            assert sized.formula and sized.reason

    def test_rendering_twice_gives_the_same_files(self, stack: Stack) -> None:
        assert self.product.render(stack, stack.hosts[0]) == self.product.render(stack, stack.hosts[0])

    def test_passes_its_own_checker(self, stack: Stack) -> None:
        for file in self.product.render(stack, stack.hosts[0]):
            execution.write_file(file)
        for command in self.product.check(stack, stack.hosts[0]):
            result = execution.run(command)
            assert result.succeeded, result.transcript

    def test_starts_answers_tells_its_vitals_reloads_and_stops(self, stack: Stack) -> None:
        host = stack.hosts[0]
        with running_layers(stack, *self.needs, self.layer) as processes:
            mine = self.product.services(stack, host)
            for service in mine:
                assert processes[service.name].poll() is None
            for source in self.product.vitals_sources(stack, host):
                vitals = self.product.parse(self.ask(source.ask))
                assert self.vitals_type is None or isinstance(vitals, self.vitals_type)
            for action in self.product.reload(stack, host):
                self.carry_out(action, processes)
            for service in mine:
                assert processes[service.name].poll() is None, f"{service.name} did not survive its reload"
                assert execution.wait_for(service.probe, 15, lambda name: 60.0) is None
        for service in mine:
            assert processes[service.name].poll() is not None

    def test_vitals_are_parsed_from_recorded_output(self) -> None:
        if self.recorded is None:
            assert self.product.vitals_sources.__doc__, "a product without vitals says why in a docstring"
            return
        raw = (Path(__file__).parent / "recorded" / self.recorded).read_bytes().decode()  # line ends as they were
        self.assert_recorded(self.product.parse(raw))

    def assert_recorded(self, vitals: Any) -> None:
        raise AssertionError("a product with recorded output asserts what is in it")

    @staticmethod
    def ask(what: Command | Exchange | HttpProbe) -> str:
        if isinstance(what, Command):
            return execution.run_or_complain(what).output
        if isinstance(what, Exchange):
            return execution.exchange(what).decode()
        return execution.fetch(what).text

    @staticmethod
    def carry_out(action: Any, processes: dict[str, Any]) -> None:
        import signal

        match action:
            case Signal():
                processes[action.service].send_signal(getattr(signal, f"SIG{action.name}"))
            case Command():
                execution.run_or_complain(action)
            case Exchange():
                execution.exchange(action)
            case Wait():
                fault = execution.wait_for(action.probe, action.timeout_seconds, lambda name: 60.0)
                assert fault is None, f"{action.why}: {fault}"
