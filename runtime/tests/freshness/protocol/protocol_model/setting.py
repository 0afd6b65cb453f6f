"""One slice with one order of steps: what its step machines share."""

from protocol_model.world import Accelerator, Page, Reader, Slice, Steps, World, Write, Writer
from slipstream.freshness.protocol import stamps
from slipstream.freshness.protocol.stamps import Proof


class Setting:
    def __init__(self, what: Slice, steps: Steps) -> None:
        self.slice = what
        self.steps = steps

    def stamp(self, world: World, write: Write, i: int) -> tuple[World, Proof]:
        return self.ask(world, stamps.stamp(world.store, write.tags, self.xid(i), self.nonce(world)))

    def ask(self, world, answer):  # type: ignore[no-untyped-def]
        """The world with the store as a script left it, and the script's answer."""
        store, result = answer
        epochs = world.epochs + (store.epoch != world.store.epoch)
        return world._replace(store=store, epochs=epochs), result

    def nonce(self, world: World) -> str:
        return f"E{world.epochs + 1}"

    def content(self, world: World, tags: frozenset[str]) -> int:
        content = world.visible
        if self.steps.reads_own_writes:
            content |= sum(1 << i for i, w in enumerate(world.writers) if w.database == "running" and w.step == "begun")
        return content & self.writes_of(tags)

    def writes_of(self, tags: frozenset[str]) -> int:
        return sum(1 << i for i, write in enumerate(self.slice.writes) if write.tags & tags)

    def has_all(self, purged: int) -> bool:
        return purged == (1 << self.slice.accelerators) - 1

    def xid(self, i: int) -> str:
        return "x0" if self.steps.transaction_ids_repeat else f"x{i}"

    def name(self, i: int) -> str:
        return f"write {i}"

    def names(self, writes: int) -> str:
        return " and ".join(self.name(i) for i in range(len(self.slice.writes)) if writes & (1 << i))


def with_writer(world: World, i: int, writer: Writer) -> World:
    return world._replace(writers=(*world.writers[:i], writer, *world.writers[i + 1 :]))


def with_reader(world: World, i: int, reader: Reader) -> World:
    return world._replace(readers=(*world.readers[:i], reader, *world.readers[i + 1 :]))


def with_page(world: World, i: int, page: Page) -> World:
    return world._replace(pages=(*world.pages[:i], page, *world.pages[i + 1 :]))


def with_accelerator(world: World, a: int, accelerator: Accelerator) -> World:
    return world._replace(accelerators=(*world.accelerators[:a], accelerator, *world.accelerators[a + 1 :]))


def without(pairs, name):  # type: ignore[no-untyped-def]
    return tuple(pair for pair in pairs if pair[0] != name)
