"""What is lost: everything, one key, or the present in favour of a past."""

from collections.abc import Iterator

from protocol_model.setting import Setting, without
from protocol_model.world import FOREVER_MS, World
from slipstream.freshness.protocol.stamps import StoreState

Successors = Iterator[tuple[str, World]]


def loss_steps(setting: Setting, world: World) -> Successors:
    if world.flushes:
        lost = StoreState(world.store.run_id, lease_until_ms=_lease(setting))
        yield "FLUSHALL", _forgive(setting, world._replace(store=lost, flushes=world.flushes - 1))
    if world.store_restarts:
        lost = StoreState(world.store.run_id + "'", lease_until_ms=_lease(setting))
        yield "the store restarts, empty", _forgive(setting, world._replace(store=lost, store_restarts=world.store_restarts - 1))
    if world.snapshots and world.saved is None:
        yield "the store saves itself to disk", world._replace(saved=world.store)
    if world.snapshots and world.saved is not None:
        back = world.saved._replace(run_id=world.store.run_id + "'")
        following = world._replace(store=back, snapshots=world.snapshots - 1, saved=None)
        yield "the store restarts from what it saved", _forgive(setting, following)
    if world.evictions:
        yield from _evictions(setting, world._replace(evictions=world.evictions - 1))


def _evictions(setting: Setting, world: World) -> Successors:
    store = world.store
    for tag, _ in store.stamps:
        yield f"T[{tag}] is evicted", world._replace(store=store._replace(stamps=without(store.stamps, tag)))
    for tag, _ in store.pending:
        evicted = world._replace(store=store._replace(pending=without(store.pending, tag)))
        yield f"P[{tag}] is evicted", _forgive(setting, evicted)
    for xid in store.acknowledged:
        evicted = world._replace(store=store._replace(acknowledged=store.acknowledged - {xid}))
        yield f"the acknowledgement of {xid} is evicted", evicted
    if setting.steps.evicts_seq_alone:
        yield "seq is evicted, E is not", world._replace(store=store._replace(seq=0))
    elif store.epoch is not None:
        yield "E and seq are evicted", world._replace(store=store._replace(epoch=None, epoch_run_id="", seq=0))
    yield "the daemon's lease is evicted", world._replace(store=store._replace(lease_until_ms=0))


def _forgive(setting: Setting, world: World) -> World:
    in_flight = sum(1 << i for i, writer in enumerate(world.writers) if writer.step in ("pended", "sent", "stamped"))
    return world._replace(forgiven=world.forgiven | in_flight)


def _lease(setting: Setting) -> int:
    """The daemon's lease after a loss: over until it read the outbox again; where no daemon acts, as if it had at once."""
    return 0 if setting.slice.has_daemon else FOREVER_MS
