"""``down``: stops everything in order and keeps all data; only ``destroy`` removes the state folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from slipstream_ops.complaint import Complaint
from slipstream_ops.lifecycle.build.state import refuse_changing
from slipstream_ops.lifecycle.run import access, leftovers
from slipstream_ops.placement import START_ORDER, State
from slipstream_ops.supervision.supervisord import Supervisor

Say = Callable[[str], None]


def bring_down(state: State, say: Say) -> bool:
    """Stop the services in the opposite order of their start; False when nothing ran.

    Works without the project: a project that does not import any more can still be stopped.
    """
    supervisor = Supervisor(state)
    if supervisor.pid is None:
        refuse_changing(state, "stopping the stack")  # one that is being started has no process manager yet
        ended = leftovers.end_leftovers(state)
        for name in ended:
            say(f"  {name} stopped (its process manager was gone)")
        return bool(ended)
    found = supervisor.states()
    running = [name for name in found if found[name].pid or found[name].state == "BACKOFF"]
    order = {layer: position for position, layer in enumerate(START_ORDER)}
    for _, layer in groupby(sorted(running, key=lambda name: -order.get(layer_named_by(name), -1)), layer_named_by):
        stop_side_by_side(list(layer), supervisor, say)
    supervisor.shut_down()
    (state.run / "processes.json").unlink(missing_ok=True)
    return True


def stop_side_by_side(names: Sequence[str], supervisor: Supervisor, say: Say) -> None:
    """Stop the services of one layer; each is given its own time (the process manager kills it after that)."""
    with ThreadPoolExecutor(max_workers=len(names)) as pool:
        for name, stopped in [(name, pool.submit(supervisor.stop, name)) for name in names]:
            stopped.result()
            say(f"  {name} stopped")


def layer_named_by(service: str) -> str:
    """The layer that a service's name begins with: "app-1" and "workers-high" belong to app server and workers."""
    first = service.split("-")[0]
    return {"app": "appserver"}.get(first, first)


def destroy(state: State) -> None:
    """Remove the state folder with the stack's own data. The caller has asked. Raises ``Complaint`` while it runs."""
    if Supervisor(state).pid is not None:
        raise Complaint("removing the state folder", "the stack is still running", "Run `slipstream down` first")
    access.take_back_access(state)
    for folder in (state.root, state.run):
        if folder.exists():
            try:
                shutil.rmtree(folder)
            except OSError as error:
                raise Complaint(
                    f"removing {folder}",
                    f"{error.filename}: {error.strerror}",
                    "Run the command as the user who started the stack",
                ) from None
