"""Makes logical caches new from outside a request, for the tool: ``python -m slipstream.launch slipstream.caches.bumping NAME``.

Answers ``{"name", "values", "renewed", "unreached"}`` (``wire.BumpAnswer``), or ``{"problem": sentence}`` and exit code 1.
"""

from __future__ import annotations

import argparse
import sys

from slipstream import wire
from slipstream.survey import write_answer


def main() -> int:
    parser = argparse.ArgumentParser(prog=f"python -m {wire.BUMPING_MODULE}", description=__doc__)
    parser.add_argument("name", help="the cache's alias in CACHES")
    given = parser.parse_args()

    import django

    django.setup()
    from slipstream.caches import bump
    from slipstream.caches.generations import UnknownCache

    try:
        bumped = bump(given.name)
    except UnknownCache as error:
        write_answer({"problem": str(error)})
        return 1
    answer = wire.BumpAnswer(
        name=given.name, values=bumped.values, renewed=list(bumped.renewed), unreached=list(bumped.unreached)
    )
    write_answer(answer)
    return 1 if bumped.unreached else 0


if __name__ == "__main__":
    sys.exit(main())
