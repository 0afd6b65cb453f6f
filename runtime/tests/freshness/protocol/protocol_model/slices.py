"""The slices of the world that are explored to the end, and how many states each has."""

from protocol_model.world import Slice, Write

A, B = frozenset({"a"}), frozenset({"b"})
UNDYING = Write(may_crash=False)
OUTSIDE = Write(is_outside=True)
PAGE_ON_ONE = {"pages": 1, "accelerators": 1}

SLICES = (
    Slice("a writer that may die or fail at every step, two fillers", 8392, (Write(may_fail=True),), (A, A)),
    Slice("two writers of one tag, one may die, a filler", 111248, (Write(), UNDYING), (A,)),
    Slice(
        "two writers of overlapping tags, two queries",
        6074,
        (Write(A | B, may_crash=False), Write(B, may_crash=False)),
        (A, B),
        has_daemon=False,
        has_reaper=False,
    ),
    Slice("another program, two fillers", 242, (OUTSIDE,), (A, A)),
    Slice("another program and a writer, a filler", 5486, (OUTSIDE, Write()), (A,)),
    Slice("flush", 68399, (Write(),), (A, A), flushes=1),
    Slice("eviction of any single key", 66279, (Write(),), (A, A), evictions=1),
    Slice("eviction of any two keys", 18139, (Write(),), (A,), evictions=2),
    Slice("store restarted empty", 68399, (Write(),), (A, A), store_restarts=1),
    Slice("store restarted from what it saved", 12534, (Write(),), (A,), snapshots=1),
    Slice("store restarted from what it saved, two fillers", 137522, (UNDYING,), (A, A), snapshots=1),
    Slice(
        "failover between two writes",
        9332,
        (Write(may_crash=False, begins="before the failover"), Write(is_outside=True, begins="after the failover")),
        (A,),
        failovers=1,
    ),
    Slice("page on one accelerator", 5124, (Write(),), **PAGE_ON_ONE),
    Slice("page on two accelerators", 54959, (Write(),), pages=1, accelerators=2),
    Slice(
        "page on two accelerators, two writers",
        30678,
        (UNDYING, UNDYING),
        pages=1,
        accelerators=2,
        has_daemon=False,
        has_reaper=False,
    ),
    Slice("two pages on one accelerator", 23100, (UNDYING,), pages=2, accelerators=1, has_reaper=False),
    Slice("page and another program", 38950, (OUTSIDE, UNDYING), **PAGE_ON_ONE),
    Slice("page from a cached query", 16596, (UNDYING,), (A,), page_uses_query_cache=True, **PAGE_ON_ONE, has_reaper=False),
    Slice(
        "page whose tags grow",
        68100,
        (UNDYING, Write(B, may_crash=False)),
        page_grows_with_write_0=B,
        pages=2,
        accelerators=1,
        has_daemon=False,
        has_reaper=False,
    ),
    Slice("page and a flush", 70251, (UNDYING,), flushes=1, **PAGE_ON_ONE, has_reaper=False),
    Slice(
        "page, two writers and a flush", 226147, (UNDYING, UNDYING), flushes=1, has_daemon=False, has_reaper=False, **PAGE_ON_ONE
    ),
    Slice("page and an accelerator that restarts", 52112, (UNDYING,), accelerator_restarts=1, **PAGE_ON_ONE, has_reaper=False),
    Slice("page and a purger that restarts", 121160, (UNDYING,), daemon_crashes=1, **PAGE_ON_ONE, has_reaper=False),
    Slice("page and a store cut off after COMMIT", 20706, (Write(may_lose_store=True),), **PAGE_ON_ONE),
    Slice("page and the eviction of any single key", 67495, (UNDYING,), evictions=1, **PAGE_ON_ONE),
    Slice("page and a failover", 137416, (UNDYING,), failovers=1, has_reaper=False, **PAGE_ON_ONE),
    Slice(
        "two writers and two flushes, a filler", 24842, (UNDYING, UNDYING), (A,), flushes=2, has_daemon=False, has_reaper=False
    ),
    Slice(
        "page on two accelerators and a flush",
        13749,
        (UNDYING,),
        pages=1,
        accelerators=2,
        flushes=1,
        has_daemon=False,
        has_reaper=False,
    ),
    Slice(
        "page from a cached query and a flush",
        17884,
        (UNDYING,),
        (A,),
        page_uses_query_cache=True,
        flushes=1,
        has_daemon=False,
        has_reaper=False,
        **PAGE_ON_ONE,
    ),
)

BY_NAME = {one.name: one for one in SLICES}
