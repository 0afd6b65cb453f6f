"""Who repairs: the daemon that empties the outbox, the reaper of what is pending."""

from collections.abc import Iterator

from protocol_model.delivery import begin_purge
from protocol_model.setting import Setting, with_accelerator, with_writer
from protocol_model.world import FOREVER_MS, Daemon, World, Writer
from slipstream.freshness.protocol import fences, stamps

Successors = Iterator[tuple[str, World]]


def daemon_steps(setting: Setting, world: World) -> Successors:
    daemon = world.daemon
    if daemon.handling < 0:
        rows = [i for i, w in enumerate(world.writers) if w.is_in_outbox and _is_delivered(setting, w)]
        for i in rows:
            if stamps.unacknowledged(world.store, [setting.xid(i)]):
                stamped, proof = setting.stamp(world, setting.slice.writes[i], i)
                step = f"the daemon finds {setting.name(i)} in the outbox and stamps {proof.epoch}:{proof.n}"
                yield step, stamped._replace(daemon=Daemon(i, proof))
            else:
                step = f"the daemon deletes {setting.name(i)} from the outbox, as acknowledged"
                yield step, with_writer(world, i, world.writers[i]._replace(is_in_outbox=False))
        if not rows and world.store.lease_until_ms < FOREVER_MS:
            renewed = world.store._replace(lease_until_ms=FOREVER_MS)
            yield "the daemon read the whole outbox and renews its lease", world._replace(store=renewed)
    elif setting.has_all(daemon.purged):
        writer = world.writers[daemon.handling]._replace(is_in_outbox=False)
        following = with_writer(world._replace(daemon=Daemon()), daemon.handling, writer)
        yield f"the daemon deletes {setting.name(daemon.handling)} from the outbox", following
    else:
        yield from begin_purge(setting, world, daemon.handling, daemon.proof, by_daemon=True)
    if world.daemon_crashes:
        crashed = world._replace(daemon=Daemon(), daemon_crashes=world.daemon_crashes - 1)
        for a, accelerator in enumerate(crashed.accelerators):
            fence = fences.vacate(accelerator.fence, 0.0) if setting.steps.purger_restart_vacates else accelerator.fence
            crashed = with_accelerator(crashed, a, accelerator._replace(fence=fence, purging=-1, repeats=0))
        yield "the daemon and its purger are killed and start again", crashed
    if world.failovers and all(_is_settled(setting, writer) for writer in world.writers):
        store = stamps.renew_epoch(world.store, setting.nonce(world))
        following = world._replace(store=store, failovers=world.failovers - 1, epochs=world.epochs + 1)
        for a, accelerator in enumerate(following.accelerators):
            following = with_accelerator(following, a, accelerator._replace(fence=fences.vacate(accelerator.fence, 0.0)))
        yield "the daemon sees a new timeline, renews E and vacates the accelerators", following


def reaper_steps(setting: Setting, world: World) -> Successors:
    for i, writer in enumerate(world.writers):
        xid = setting.xid(i)
        if setting.slice.writes[i].is_outside or not any(xid in xids for _, xids in world.store.pending):
            continue
        is_over = writer.database in ("visible", "aborted")
        if is_over or (setting.steps.reaps_running and writer.is_gone):
            if setting.steps.reaps_without_stamp:
                pending = ((tag, xids - {xid}) for tag, xids in world.store.pending)
                left = tuple((tag, xids) for tag, xids in pending if xids)
                yield f"the reaper drops {setting.name(i)}", world._replace(store=world.store._replace(pending=left))
            else:
                stamped, proof = setting.stamp(world, setting.slice.writes[i], i)
                yield f"the reaper stamps {setting.name(i)} at {proof.epoch}:{proof.n}", stamped


def _is_settled(setting: Setting, writer: Writer) -> bool:
    """No transaction of the old primary becomes visible on the new one afterwards: it was replicated, or it is lost."""
    return writer.step == "begun" or writer.database in ("visible", "aborted")


def _is_delivered(setting: Setting, writer: Writer) -> bool:
    return writer.database == "visible" or (setting.steps.stamps_when_durable and writer.database == "durable")
