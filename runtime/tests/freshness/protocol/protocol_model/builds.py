"""Who builds: readers that fill the query cache, pages that are certified and then travel to an accelerator."""

from collections.abc import Iterator

from protocol_model.setting import Setting, with_accelerator, with_page, with_reader
from protocol_model.world import Page, Reader, Stored, World
from slipstream.freshness.protocol import fences, stamps
from slipstream.freshness.protocol.stamps import Proof, Value

Successors = Iterator[tuple[str, World]]


def reader_steps(setting: Setting, world: World, i: int) -> Successors:
    reader, tags, name = world.readers[i], setting.slice.readers[i], f"reader {i}"
    key = "+".join(sorted(tags))
    if reader.step == "begun" and (setting.steps.snapshot_before_p or setting.steps.reads_old_snapshot):
        content = setting.content(world, tags)
        yield f"{name} takes a snapshot", with_reader(world, i, Reader("snapped", None, content))
    elif reader.step in ("begun", "snapped"):
        world, found = setting.ask(world, stamps.look_up(world.store, key, setting.nonce(world)))
        if isinstance(found, Value):
            yield f"{name} hits", with_reader(world, i, Reader("done"))
        else:
            step = "read" if reader.step == "snapped" else "missed"
            yield f"{name} misses, p = {found.epoch}:{found.p}", with_reader(world, i, Reader(step, found, reader.content))
    elif reader.step == "missed":
        yield (
            f"{name} takes a snapshot",
            with_reader(world, i, reader._replace(step="read", content=setting.content(world, tags))),
        )
    elif reader.step == "read" and reader.seen is not None:
        value = Value(bytes([reader.content]), tags, "everyone", reader.seen.p, reader.seen.epoch)
        world, kept = setting.ask(world, stamps.fill(world.store, key, value, setting.nonce(world)))
        yield f"{name}'s fill is {'kept' if kept else 'refused'}", with_reader(world, i, Reader("done"))


def page_steps(setting: Setting, world: World, i: int) -> Successors:
    page, tags, name = world.pages[i], setting.slice.page_tags, f"page {i}"
    key = "+".join(sorted(tags))
    if page.step == "begun":
        world, seen = setting.ask(world, stamps.begin(world.store, setting.nonce(world)))
        yield f"{name} begins, p = {seen.epoch}:{seen.p}", with_page(world, i, Page("started", seen))
    elif page.step == "started":
        if setting.slice.page_uses_query_cache:
            world, found = setting.ask(world, stamps.look_up(world.store, key, setting.nonce(world)))
            if isinstance(found, Value):
                carried = found.tags if setting.steps.cached_tags_bubble else frozenset[str]()
                hit = page._replace(step="read", content=found.body[0], reads=tags, tags=carried)
                yield f"{name} uses a cached query", with_page(world, i, hit)
                return
        if world.visible & 1:
            tags |= setting.slice.page_grows_with_write_0
        read = page._replace(step="read", content=setting.content(world, tags), reads=tags, tags=tags)
        yield f"{name} reads", with_page(world, i, read)
    elif page.step == "read" and page.seen is not None:
        if setting.steps.certifies_pages:
            answer = stamps.certify(world.store, page.tags, page.seen.p, page.seen.epoch, setting.nonce(world))
        else:
            answer = world.store, Proof(page.seen.epoch, world.store.seq)
        world, proof = setting.ask(world, answer)
        if proof is None:
            yield f"{name} is not certified", with_page(world, i, Page("done"))
        elif setting.steps.reads_n_after_certifying:
            yield f"{name} is certified, n not yet read", with_page(world, i, page._replace(step="numbering", proof=proof))
        else:
            yield (
                f"{name} is certified at {proof.epoch}:{proof.n}",
                with_page(world, i, page._replace(step="certified", proof=proof)),
            )
    elif page.step == "numbering" and page.proof is not None:
        late = Proof(page.proof.epoch, world.store.seq)
        yield f"{name} reads n = {late.n}", with_page(world, i, page._replace(step="certified", proof=late))
    elif page.step == "certified" and page.proof is not None:
        for a, accelerator in enumerate(world.accelerators):
            if fences.may_insert(accelerator.fence, page.proof.epoch, page.proof.n):
                yield (
                    f"{name} passes the fence of accelerator {a}",
                    with_page(world, i, page._replace(step="checked", accelerator=a)),
                )
            else:
                yield f"{name} is refused by accelerator {a}", with_page(world, i, Page("done"))
    elif page.step == "checked" and page.proof is not None:
        accelerator = world.accelerators[page.accelerator]
        keys = page.tags if accelerator.kept is None else accelerator.kept
        stored = Stored(page.content, page.proof.epoch, page.proof.n, page.reads, keys)
        accelerator = accelerator._replace(stored=stored)
        following = with_accelerator(with_page(world, i, Page("done")), page.accelerator, accelerator)
        yield f"{name} is indexed by accelerator {page.accelerator}", following
