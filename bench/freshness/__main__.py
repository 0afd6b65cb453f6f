"""Wall clock and CPU of writes and reads, followed and not, interleaved: python -m bench.freshness [--rounds N].

Servers of the bench's own on sockets, fsync off (a disk's sync would hide everything). Two processes take turns, one with the
runtime's hooks and one without; `bare` is before the triggers are installed, `triggers` with them and no hooks.
"""

from __future__ import annotations

import argparse
import os
import pwd
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
ROOT = Path(__file__).parents[2]
COUNT = 200
WRITES = ("update, raw cursor", "update, atomic", "update, queryset")
READS = ("list query of 20 rows", "row by key", "ten list queries, tracked")


@contextmanager
def postgres() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="ss-", dir="/tmp"))
    user = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
    as_user: dict[str, object] = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []} if user else {}
    if user:
        os.chown(folder, user.pw_uid, user.pw_gid)
    initdb = [PROGRAMS[-1] / "initdb", "-D", folder / "data", "-U", "owner", "-A", "trust", "-N"]
    subprocess.run(initdb, check=True, capture_output=True, cwd="/", **as_user)  # type: ignore[call-overload]
    command = [PROGRAMS[-1] / "postgres", "-D", folder / "data", "-c", "listen_addresses=", "-k", folder, "-c", "fsync=off"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, cwd="/", **as_user)  # type: ignore[call-overload]
    try:
        while subprocess.run([PROGRAMS[-1] / "pg_isready", "-h", folder, "-q"], check=False).returncode:
            time.sleep(0.05)
        yield folder
    finally:
        process.send_signal(2)
        process.wait(20)
        shutil.rmtree(folder)


@contextmanager
def redis() -> Iterator[str]:
    folder = Path(tempfile.mkdtemp(prefix="ss-", dir="/tmp"))
    command = ["redis-server", "--port", "0", "--unixsocket", folder / "s", "--save", "", "--dir", folder]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not (folder / "s").exists():
            time.sleep(0.05)
        yield f"unix://{folder}/s"
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder)


class Worker:
    def __init__(self, environment: dict[str, str], follows: bool) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "bench.freshness.worker"],
            env={**environment, "BENCH_FOLLOWS": "1" if follows else "0"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )

    def measure(self, operation: str, count: int = COUNT) -> tuple[float, float]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(f"{operation}\t{count}\n")
        self.process.stdin.flush()
        wall, cpu = self.process.stdout.readline().split()
        return float(wall), float(cpu)

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


def manage(environment: dict[str, str], *arguments: str, follows: bool = False) -> None:
    command = [sys.executable, "-m", "django", *arguments]
    subprocess.run(
        command, env={**environment, "BENCH_FOLLOWS": "1" if follows else "0"}, check=True, cwd=ROOT, stdout=subprocess.DEVNULL
    )


FILL = """
from bench.freshness.models import *
sections = Section.objects.bulk_create([Section(slug=str(n)) for n in range(20)])
for model in (Article, Plain):
    model.objects.bulk_create([model(section=sections[n % 20], title=f"title {n}", body="lorem " * 100) for n in range(2000)])
"""


def show(title: str, found: list[tuple[float, float]], baseline: list[tuple[float, float]] | None = None) -> None:
    wall, cpu = (statistics.median(one[index] for one in found) for index in (0, 1))
    ratio = ""
    if baseline:
        ratios = [(one[0] / other[0], one[1] / other[1]) for one, other in zip(found, baseline, strict=True)]
        ratio = "   x {:.2f} wall, x {:.2f} CPU".format(*(statistics.median(one[index] for one in ratios) for index in (0, 1)))
    print(f"  {title:<34} {wall:8.0f} us  CPU {cpu:6.0f} us{ratio}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.freshness", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    rounds = parser.parse_args().rounds
    with ExitStack() as stack:
        folder, url = stack.enter_context(postgres()), stack.enter_context(redis())
        environment = {
            **os.environ,
            "BENCH_PG": str(folder),
            "BENCH_STORE": url,
            "DJANGO_SETTINGS_MODULE": "bench.freshness.settings",
            "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'runtime' / 'src'}",
        }
        manage(environment, "migrate", "--run-syncdb", "-v0")
        manage(environment, "shell", "-v0", "-c", FILL)
        plain = Worker(environment, follows=False)
        stack.callback(plain.close)
        for name in (*WRITES, *READS):
            plain.measure(name)
        bare = {name: [plain.measure(name) for _ in range(rounds)] for name in WRITES}
        manage(environment, "slipstream_triggers", "install", follows=True)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "slipstream.freshness.daemon"], env={**environment, "BENCH_FOLLOWS": "1"}, cwd=ROOT
        )
        stack.callback(daemon.wait)
        stack.callback(daemon.terminate)
        time.sleep(2)  # the daemon's first round
        followed = Worker(environment, follows=True)
        stack.callback(followed.close)
        for name in (*WRITES, *READS):
            followed.measure(name)
        for name in WRITES:
            triggers, whole = [], []
            for _ in range(rounds):
                triggers.append(plain.measure(name))
                whole.append(followed.measure(name))
            print(name)
            show("bare", bare[name])
            show("with triggers", triggers, bare[name])
            show("the whole write path", whole, bare[name])
        for name in READS:
            without, with_ = [], []
            for _ in range(rounds):
                without.append(plain.measure(name))
                with_.append(followed.measure(name))
            print(name)
            show("plain Django", without)
            show("tracked" if "tracked" in name else "a hit of the query cache", with_, without)


if __name__ == "__main__":
    main()
