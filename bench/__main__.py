"""Every bench after the other, as `make bench` runs them: `python -m bench [--only NAME] [--list]`."""

from __future__ import annotations

import argparse
import subprocess
import sys

BENCHES = {
    "startup": "how long `up` takes on the gazette, and what the idle stack weighs",
    "caches": "CPU time of each cache operation, beside Django's own and others'",
    "freshness": "what a tracked read, a cached query and a followed write cost, beside plain Django",
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=sorted(BENCHES))
    parser.add_argument("--list", action="store_true", help="name the benches and end")
    given = parser.parse_args()
    if given.list:
        for name, what in BENCHES.items():
            print(f"{name:<10} {what}")
        return 0
    failed = 0
    for name, what in BENCHES.items():
        if given.only in (None, name):
            print(f"\n== {name}: {what}", flush=True)
            failed |= subprocess.run([sys.executable, "-m", f"bench.{name}"], check=False).returncode
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
