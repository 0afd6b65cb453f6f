"""Who delivers: the serial purger, and accelerators that store, purge, restart and are adopted.

Without time, "no longer young" is a step that waits for the repeats of the purges so far, and the last repeat waits for pages
between check and index; `insertion` explores, with time, that the protocol's seconds make it so.
"""

from collections.abc import Iterator

from protocol_model.setting import Setting, with_accelerator, with_writer
from protocol_model.world import Accelerator, Page, World
from slipstream.freshness.protocol import fences, stamps
from slipstream.freshness.protocol.stamps import Proof

Successors = Iterator[tuple[str, World]]


def begin_purge(setting: Setting, world: World, i: int, proof: Proof | None, by_daemon: bool = False) -> Successors:
    """The serial purger moves the fence; the keys follow in a step of the accelerator, and only then the acknowledgement."""
    done = world.daemon.purged if by_daemon else world.writers[i].purged
    for a, accelerator in enumerate(world.accelerators):
        if accelerator.purging >= 0 or done & (1 << a):
            continue
        fence = accelerator.fence
        if proof is not None:
            fence = fences.purge(fence, proof.epoch, proof.n, 0.0, 0.0)
        moved = accelerator._replace(fence=fence, purging=2 * i + by_daemon)
        yield f"the purger moves the fence of accelerator {a} for {setting.name(i)}", with_accelerator(world, a, moved)


def accelerator_steps(setting: Setting, world: World, a: int) -> Successors:
    accelerator = world.accelerators[a]
    if accelerator.purging >= 0:
        i, by_daemon = divmod(accelerator.purging, 2)
        purged = _without_keys_of(setting, accelerator, 1 << i)._replace(purging=-1, repeats=accelerator.repeats | 1 << i)
        following = with_accelerator(world, a, purged)
        if not by_daemon:
            writer = world.writers[i]
            following = with_writer(following, i, writer._replace(purged=writer.purged | 1 << a))
        elif world.daemon.handling == i:
            following = following._replace(daemon=world.daemon._replace(purged=world.daemon.purged | 1 << a))
        yield f"accelerator {a} purges the keys of {setting.name(i)} and acknowledges", following
    is_indexing = any(page.step == "checked" and page.accelerator == a for page in world.pages)
    if accelerator.repeats and not is_indexing and setting.steps.repeats_purges:
        repeated = _without_keys_of(setting, accelerator, accelerator.repeats)._replace(repeats=0)
        yield f"the last repeat of the purges reaches accelerator {a}", with_accelerator(world, a, repeated)
    if (
        accelerator.stored is not None
        and accelerator.stored.is_young
        and (not accelerator.repeats or not setting.steps.repeats_purges)
    ):
        aged = accelerator._replace(stored=accelerator.stored._replace(is_young=False))
        yield f"the page in accelerator {a} is no longer young", with_accelerator(world, a, aged)
    if accelerator.fence.epoch is None and accelerator.adoption is None:
        if setting.steps.adopts_with_fresh_stamp:
            told, proof = setting.ask(world, stamps.stamp(world.store, (), "adoption", setting.nonce(world)))
        else:
            told, seen = setting.ask(world, stamps.begin(world.store, setting.nonce(world)))
            proof = Proof(seen.epoch, seen.p)
        adoption = (proof.epoch, proof.n, accelerator.fence.vacancy)
        following = with_accelerator(told, a, accelerator._replace(adoption=adoption))
        yield f"the purger sends accelerator {a}: adopt {proof.epoch}:{proof.n}", following
    if accelerator.adoption is not None:
        epoch, seq, vacancy = accelerator.adoption
        fence = fences.adopt(accelerator.fence, epoch, seq, vacancy, 0.0)
        is_taken = fence != accelerator.fence
        stored = None if is_taken else accelerator.stored
        adopted = accelerator._replace(fence=fence, stored=stored, adoption=None)
        yield (
            f"accelerator {a} {'adopts' if is_taken else 'ignores the late'} {epoch}:{seq}",
            with_accelerator(world, a, adopted),
        )
    if world.accelerator_restarts:
        pages = tuple(
            Page("done") if page.step == "checked" and page.accelerator == a else page for page in world.pages
        )  # its fetches die with it
        world = world._replace(pages=pages)
        restarted = Accelerator(fences.start(accelerator.fence.vacancy + 1), adoption=accelerator.adoption)
        following = with_accelerator(world._replace(accelerator_restarts=world.accelerator_restarts - 1), a, restarted)
        yield f"accelerator {a} restarts, empty", following


def _without_keys_of(setting: Setting, accelerator: Accelerator, writes: int) -> Accelerator:
    stored = accelerator.stored
    if stored is None or not writes & setting.writes_of(stored.tags):
        return accelerator
    return accelerator._replace(stored=None, kept=stored.tags if setting.steps.fetches_conditionally else None)
