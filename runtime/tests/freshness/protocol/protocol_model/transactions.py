"""Who writes: Django processes that may die at every step, other programs, and the database that makes their writes visible."""

from collections.abc import Iterator

from protocol_model.delivery import begin_purge
from protocol_model.setting import Setting, with_writer
from protocol_model.world import World
from slipstream.freshness.protocol import stamps
from slipstream.freshness.protocol.stamps import Proof

Successors = Iterator[tuple[str, World]]


def writer_steps(setting: Setting, world: World, i: int) -> Successors:
    writer, write, name = world.writers[i], setting.slice.writes[i], setting.name(i)
    if writer.is_gone or writer.step == "done" or (writer.step == "begun" and not _may_begin(setting, world, i)):
        return
    if write.may_crash and writer.step != "returned":
        yield f"{name} is killed", with_writer(world, i, writer._replace(is_gone=True))
    if writer.step == "begun":
        store = stamps.pend(world.store, write.tags, setting.xid(i)) if setting.steps.pends else world.store
        following = with_writer(world._replace(store=store), i, writer._replace(step="pended"))
        yield f"{name} pends", following
    elif writer.step == "pended":
        if setting.steps.stamps_before_commit and writer.proof is None:
            stamped, proof = setting.stamp(world, write, i)
            yield f"{name} stamps before COMMIT", with_writer(stamped, i, writer._replace(proof=proof))
            return
        step = "stamped" if setting.steps.stamps_before_commit else "sent"
        yield f"{name} sends COMMIT", with_writer(world, i, writer._replace(step=step, database="durable"))
        if write.may_fail:
            yield f"{name}'s COMMIT fails", with_writer(world, i, writer._replace(step="sent", database="aborted"))
    elif writer.step == "sent" and (writer.database in ("visible", "aborted")):
        if write.may_lose_store:
            proof = Proof("", 0) if setting.steps.purges_when_stamp_failed else None
            failed = writer._replace(step="stamped", proof=proof)
            yield f"{name} cannot reach the store to stamp", with_writer(world, i, failed)
        if setting.steps.stamps:
            stamped, proof = setting.stamp(world, write, i)
            if setting.steps.acknowledges_before_purge:
                stamped = stamped._replace(store=stamps.acknowledge(stamped.store, setting.xid(i)))
            yield (
                f"{name} stamps {proof.epoch}:{proof.n}",
                with_writer(stamped, i, writer._replace(step="stamped", proof=proof)),
            )
        else:
            yield f"{name} forgets to stamp", with_writer(world, i, writer._replace(step="stamped"))
    elif writer.step == "stamped" and writer.database in ("visible", "aborted"):
        if setting.has_all(writer.purged) or not setting.steps.waits_for_purges:
            yield f"{name}'s commit returns", with_writer(world, i, writer._replace(step="returned"))
        if not setting.has_all(writer.purged):
            yield from begin_purge(setting, world, i, writer.proof)
    elif writer.step == "returned":
        store = world.store
        if writer.proof is not None and writer.proof.epoch and setting.has_all(writer.purged):
            store = stamps.acknowledge(store, setting.xid(i))
        yield f"{name} acknowledges", with_writer(world._replace(store=store), i, writer._replace(step="done"))


def outside_writer_steps(setting: Setting, world: World, i: int) -> Successors:
    writer = world.writers[i]
    if writer.step == "begun" and _may_begin(setting, world, i):
        yield (
            f"{setting.name(i)} (another program) commits",
            with_writer(world, i, writer._replace(step="done", database="durable")),
        )


def database_steps(setting: Setting, world: World, i: int) -> Successors:
    writer = world.writers[i]
    if writer.database == "durable":
        yield f"{setting.name(i)} becomes visible", with_writer(world, i, writer._replace(database="visible"))
    if writer.database == "running" and writer.is_gone:
        yield f"the database rolls {setting.name(i)} back", with_writer(world, i, writer._replace(database="aborted"))


def _may_begin(setting: Setting, world: World, i: int) -> bool:
    begins = setting.slice.writes[i].begins
    return begins == "at any time" or (begins == "after the failover") == (world.failovers == 0)
