"""How long `slipstream up` takes on the gazette and what the idle stack weighs: `python -m bench.startup [--runs N] [--json]`.

The server packages, the gazette's environment and its database are there before; the clock runs from the command's start
to its end, which is the first answer through every layer. Memory is proportional (PSS), read 20 s after that.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SLIPSTREAM = ROOT / ".venv" / "bin" / "slipstream"
GAZETTE = ROOT / "examples" / "gazette"
SETTLING_SECONDS = 20


def slipstream(*arguments: str) -> str:
    return subprocess.run([SLIPSTREAM, *arguments], cwd=GAZETTE, check=True, capture_output=True, text=True).stdout


def measure_once() -> dict[str, Any]:
    """Seconds of one `up` and of one `reload`, proportional memory of each idle service in MB."""
    began = time.monotonic()
    slipstream("up", "--detach")
    seconds = time.monotonic() - began
    try:
        time.sleep(SETTLING_SECONDS)
        rows = json.loads(slipstream("status", "--json"))["services"]
        began = time.monotonic()
        slipstream("reload")
        reload_seconds = time.monotonic() - began
    finally:
        slipstream("down")
    memory = {row["service"]: row["memory_bytes"] / (1 << 20) for row in rows}
    return {"up_seconds": seconds, "reload_seconds": reload_seconds, "memory_mb": sum(memory.values()), "services_mb": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    runs = [measure_once() for _ in range(given.runs)]
    figures = {name: [run[name] for run in runs] for name in ("up_seconds", "reload_seconds", "memory_mb")}
    if given.json:
        print(json.dumps({"runs": runs}, indent=2))
        return
    for name, unit, limit in (("up_seconds", "s", "20 s"), ("reload_seconds", "s", "-"), ("memory_mb", "MB", "600 MB")):
        values = figures[name]
        spread = f"{min(values):.1f} to {max(values):.1f}"
        print(f"{name:<15} median {statistics.median(values):6.1f} {unit:<3} spread {spread}   bound {limit}")
    for service, megabytes in sorted(runs[-1]["services_mb"].items(), key=lambda item: -item[1]):
        print(f"  {service:<18} {megabytes:6.1f} MB")


if __name__ == "__main__":
    main()
