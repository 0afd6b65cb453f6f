"""Explores every slice of the world to its end: the protocol keeps its promises, and each broken rule is caught with a trace.

The promises are stated in `protocol_model.system` and, where time matters, in `lease`, `clock` and `insertion` beside it. The
ids of the tests name the number of states. To read the traces: `pytest -rP -k mutation`.
"""

import re
from dataclasses import fields

import pytest
from protocol_model.clock import ClockSteps, ClockSystem
from protocol_model.explorer import Exploration, explore
from protocol_model.insertion import InsertionSteps, InsertionSystem
from protocol_model.lease import LeaseSteps, LeaseSystem
from protocol_model.mutations import MUTATIONS, Mutation
from protocol_model.slices import BY_NAME, SLICES
from protocol_model.system import System
from protocol_model.world import Slice, Steps

from slipstream.freshness.protocol import fences, stamps

LEASE_MUTATIONS = {
    "commit does not wait for the lease": LeaseSteps(commit_waits=False),
    "heartbeats between purges, not in series": LeaseSteps(heartbeats_between_purges=True),
    "a lease counts from when the heartbeat is read": LeaseSteps(lease_counts_from_arrival=True),
    "the purger counts only what was answered": LeaseSteps(purger_counts_answered_only=True),
}
CLOCK_MUTATIONS = {
    "the daemon's lease counts from the end of its reading": ClockSteps(lease_counts_from_end=True),
    "the daemon's lease says that a process lives": ClockSteps(renews_without_reading=True),
    "the daemon's lease is renewed before the stamp": ClockSteps(renews_before_stamping=True),
}


def run(system: System | LeaseSystem | ClockSystem | InsertionSystem) -> Exploration:
    return explore(system.initial(), system.successors, system.broken, system.unfinished)  # type: ignore[arg-type]


@pytest.mark.parametrize("what", SLICES, ids=lambda what: f"{what.name} ({what.states} states)")
def test_protocol_keeps_its_promises(what: Slice) -> None:
    found = run(System(what))
    assert found.violation is None, str(found)
    assert found.states == what.states, f"{what.name} now has {found.states} states; if that was meant, write it into slices.py"
    assert found.endings > 0


def test_protocol_keeps_leases_when_messages_are_late() -> None:
    """93,235 states: two heartbeats, two purges, all late or lost at will, five half-leases of time."""
    found = run(LeaseSystem())
    assert found.violation is None, str(found)
    assert found.states == 93_235


def test_protocol_sees_other_programs_within_a_second() -> None:
    """94,095 states: three passes of a daemon that may stop anywhere, two fills, three seconds of time."""
    found = run(ClockSystem())
    assert found.violation is None, str(found)
    assert found.states == 94_095


def test_protocol_outlasts_the_gap_between_fence_and_index() -> None:
    """14,830 states: a page and a purge at every pair of moments within 1.5 s."""
    found = run(InsertionSystem())
    assert found.violation is None, str(found)
    assert found.states == 14_830


def test_mutation_with_a_shorter_youth_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fences, "YOUNG_SECONDS", fences.YOUNG_SECONDS / 2)
    _assert_caught(run(InsertionSystem()), "P:")


@pytest.mark.parametrize("repeats_seconds", [(), (0.05,), (0.05, 1.0, 10.0)], ids=str)
def test_mutation_with_fewer_repeats_is_caught(repeats_seconds: tuple[float, ...]) -> None:
    _assert_caught(run(InsertionSystem(InsertionSteps(repeats_seconds))), "P:")


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.name)
def test_mutation_is_caught(mutation: Mutation, monkeypatch: pytest.MonkeyPatch) -> None:
    system = System(BY_NAME[mutation.slice_name], mutation.steps)
    for (module, name), broken in mutation.patches.items():
        monkeypatch.setattr(module, name, broken)
    _assert_caught(run(system), mutation.expected)


@pytest.mark.parametrize("steps", LEASE_MUTATIONS.values(), ids=LEASE_MUTATIONS.keys())
def test_mutation_of_leases_is_caught(steps: LeaseSteps) -> None:
    _assert_caught(run(LeaseSystem(steps)), "P:")


@pytest.mark.parametrize("steps", CLOCK_MUTATIONS.values(), ids=CLOCK_MUTATIONS.keys())
def test_mutation_of_the_daemons_clock_is_caught(steps: ClockSteps) -> None:
    _assert_caught(run(ClockSystem(steps)), "O:")


def test_mutation_without_daemons_lease_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    is_valid = stamps.is_valid
    monkeypatch.setattr(stamps, "is_valid", lambda state, *rest: is_valid(state._replace(lease_until_ms=10**9), *rest))
    _assert_caught(run(ClockSystem()), "O:")


def test_every_order_of_steps_is_mutated_somewhere() -> None:
    default = Steps()
    mutated = {
        one.name
        for mutation in MUTATIONS
        for one in fields(Steps)
        if getattr(mutation.steps, one.name) != getattr(default, one.name)
    }
    assert mutated == {one.name for one in fields(Steps)}


def _assert_caught(found: Exploration, expected: str) -> None:
    print(found)
    assert found.violation is not None, f"not caught in {found.states} states"
    assert expected in found.violation, str(found)
    assert re.match(r"After \d+ steps", str(found))
    assert found.trace
