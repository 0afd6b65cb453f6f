"""CPU time per cache operation, interleaved, with 95% intervals: python -m bench.caches [--json] [--rounds N] [--only get,set].

Each round runs every contender once in one order and once in the reverse (ABBA), so that what drifts on the machine
drifts for all. A ratio is that of the same round's blocks; its interval comes from the rounds' log ratios
(Student's t). CPU time (user and system of this process) does not count the server's work nor the waiting.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable
from typing import Any

from bench.caches.contenders import BASELINE, entries, servers

VALUE = {
    "id": 1234567,
    "title": "A headline of usual length, with a comma",
    "slug": "a-headline-of-usual-length",
    "tags": ["politics", "europe", "money"],
    "body": "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 6,
    "score": 17.25,
    "published": True,
}
TARGETS = {"get": 1.10, "set": 1.10, "get_many(50)": 1.0}  # CPU time to that of Django's RedisCache, the interval's upper end
KEYS = [f"article-{number}" for number in range(50)]


def operations(cache: Any) -> dict[str, tuple[Callable[[], Any], int]]:
    """Return the operations by name, each with how often a block runs it."""
    cache.set_many(dict.fromkeys(KEYS, VALUE))
    assert len(cache.get_many(KEYS)) == 50
    return {
        "get": (lambda: cache.get("article-7"), 300),
        "get (miss)": (lambda: cache.get("nothing"), 300),
        "set": (lambda: cache.set("article-7", VALUE), 300),
        "get_many(50)": (lambda: cache.get_many(KEYS), 60),
        "incr": (lambda: cache.incr("counter"), 100),
    }


def measure(rounds: int, only: list[str] | None) -> dict[str, dict[str, dict[str, float]]]:
    """Return operation -> contender -> microseconds, ratio to the baseline of its product, and the ratio's 95% interval."""
    from django.core.cache import caches

    names = list(caches.settings)
    table: dict[str, dict[str, dict[str, float]]] = {}
    for name in names:
        caches[name].set("counter", 1)
    prepared = {name: operations(caches[name]) for name in names}
    for operation in next(iter(prepared.values())):
        if only and not any(operation.startswith(wanted) for wanted in only):
            continue
        blocks: dict[str, list[float]] = {name: [] for name in names}
        for number in range(rounds + 1):
            costs = dict.fromkeys(names, 0.0)
            for name in [*names, *reversed(names)]:
                call, repeats = prepared[name][operation]
                began = time.process_time()
                for _ in range(repeats):
                    call()
                costs[name] += (time.process_time() - began) / repeats / 2
            if number:  # the first round warms up
                for name in names:
                    blocks[name].append(costs[name])
        table[operation] = {}
        for name in names:
            base = BASELINE if "emcache" not in name else "django.PyMemcacheCache"
            logs = [math.log(cost / other) for cost, other in zip(blocks[name], blocks[base], strict=True)]
            middle = statistics.fmean(logs)
            half = 2.09 * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0.0  # t of 19 degrees and up
            table[operation][name] = {
                "microseconds": round(statistics.fmean(blocks[name]) * 1e6, 2),
                "ratio": round(math.exp(middle), 3),
                "low": round(math.exp(middle - half), 3),
                "high": round(math.exp(middle + half), 3),
            }
    return table


def measure_ejected(repeats: int = 50_000) -> float:
    """Return the CPU microseconds of a get while the breaker of the only server is open."""
    from slipstream.caches import RedisCache

    cache = RedisCache("redis://127.0.0.1:1", {})
    for _ in range(3):
        cache.get("article-7")
    began = time.process_time()
    for _ in range(repeats):
        cache.get("article-7")
    return round((time.process_time() - began) / repeats * 1e6, 2)


def main() -> None:
    """Measure, and print a table or JSON."""
    parser = argparse.ArgumentParser(prog="python -m bench.caches", description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--check", action="store_true", help="end with 1 if slipstream.RedisCache is above its targets")
    parser.add_argument("--only", help="operations, by the start of their names, parted by commas")
    options = parser.parse_args()
    with servers() as (redis_port, memcached_port):
        import django
        from django.conf import settings

        settings.configure(CACHES={"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}})
        django.setup()
        from django.core.cache import caches

        caches._settings = caches.settings = entries(redis_port, memcached_port)
        table = measure(options.rounds, options.only.split(",") if options.only else None)
        ejected_us = measure_ejected()
    above = [
        f"{operation}: {table[operation]['slipstream.RedisCache']['high']} (at most {most})"
        for operation, most in TARGETS.items()
        if operation in table and table[operation]["slipstream.RedisCache"]["high"] > most
    ]
    if options.check and above:
        raise SystemExit("above target: " + "; ".join(above))
    if options.json:
        print(json.dumps(table | {"get, server ejected": {"slipstream.RedisCache": {"microseconds": ejected_us}}}, indent=2))
        return
    print(f"get while the server is ejected: {ejected_us:.2f} us")
    for operation, rows in table.items():
        print(f"\n{operation:<28}{'CPU us':>8}{'ratio':>8}   95% interval   (to Django's own backend of the product)")
        for name, row in rows.items():
            print(f"  {name:<26}{row['microseconds']:>8.1f}{row['ratio']:>8.2f}   {row['low']:.2f} - {row['high']:.2f}")


if __name__ == "__main__":
    main()
