"""Visits every reachable state of a small world, breadth first, so that a counterexample found is a shortest one."""

from collections import deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

W = TypeVar("W", bound=Hashable)


@dataclass(frozen=True)
class Exploration(Generic[W]):
    """What the search found. `violation` is None when every state kept every promise; else `trace` tells how it came to it."""

    states: int
    endings: int
    violation: str | None = None
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.violation is None:
            return f"{self.states} states, {self.endings} endings, no violation"
        steps = [f"{number:3}. {step}" for number, step in enumerate(self.trace, 1)]
        return "\n".join([f"After {len(self.trace)} steps ({self.states} states visited):", *steps, f"  => {self.violation}"])


def explore(
    initial: W,
    successors: Callable[[W], Iterable[tuple[str, W]]],
    broken: Callable[[W], str | None],
    unfinished: Callable[[W], str | None],
    most_states: int = 400_000,
) -> Exploration[W]:
    """Checks `broken` in every state and `unfinished` in every ending (a state without successors).

    Endings stand for "eventually": every actor is finite, so each run reaches one. Raises AssertionError beyond `most_states`:
    a slice that was not exhausted proves nothing.
    """
    came_from: dict[W, tuple[W, str] | None] = {initial: None}
    queue = deque([initial])
    endings = 0
    while queue:
        world = queue.popleft()
        violation = broken(world)
        is_ending = True
        if violation is None:
            for step, following in successors(world):
                is_ending = False
                if following not in came_from:
                    came_from[following] = (world, step)
                    queue.append(following)
            if is_ending:
                endings += 1
                violation = unfinished(world)
        if violation is not None:
            return Exploration(len(came_from), endings, violation, _steps_to(world, came_from))
        assert len(came_from) <= most_states, f"the slice has more than {most_states} states; make it smaller"
    return Exploration(len(came_from), endings)


def _steps_to(world: W, came_from: dict[W, tuple[W, str] | None]) -> tuple[str, ...]:
    steps: list[str] = []
    origin = came_from[world]
    while origin is not None:
        world, step = origin
        steps.append(step)
        origin = came_from[world]
    return tuple(reversed(steps))
