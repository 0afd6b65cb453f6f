"""The process manager on real processes: quoting, start, back-off, last words, orphans; and systemd units of the same values."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest
from workshop import temporary_folder

from slipstream_ops import execution
from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.contract import Command, CommandProbe, RunningProbe, Service
from slipstream_ops.lifecycle.build.state import open_state
from slipstream_ops.lifecycle.run import leftovers, starting
from slipstream_ops.lifecycle.run.down import bring_down
from slipstream_ops.placement import Host, State
from slipstream_ops.supervision import supervisord, systemd

HERE = Host("local", "127.0.0.1", 1, 1 << 30, is_root=False)
AWKWARD = "50% \"quoted\" 'single' $HOME ünï"


def service(name: str, script: str, **changes: object) -> Service:
    facts: dict[str, object] = {
        "layer": "cache",
        "account": "cache",
        "probe": RunningProbe(name, 0.2),
        "start_timeout_seconds": 15,
    }
    return Service(name=name, command=("/bin/sh", "-c", script), **{**facts, **changes})  # type: ignore[arg-type]


@pytest.fixture
def state() -> Iterator[State]:
    with temporary_folder() as folder:
        opened = open_state(folder)
        yield opened
        supervisord.Supervisor(opened).shut_down()


def supervise(state: State, *services: Service) -> supervisord.Supervisor:
    execution.write_file(supervisord.render(services, HERE, state))
    supervisor = supervisord.Supervisor(state)
    supervisor.launch()
    return supervisor


def wait_until(is_true: Callable[[], bool], timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_words_and_variables_arrive_as_they_are(state: State) -> None:
    out = state.root / "out.json"
    values = {"DOUBLE": '50% "quoted" $HOME ünï', "SINGLE": "it's 50%, a=b;c"}
    script = f'printf "%s\\n%s\\n%s" "$1" "$DOUBLE" "$SINGLE" > {out}; exec sleep 600'
    one = Service("one", "cache", ("/bin/sh", "-c", script, "sh", AWKWARD), "cache", RunningProbe("one", 0.1), values)
    supervisor = supervise(state, one)
    starting.start_service(one, state, supervisor)
    wait_until(lambda: out.exists() and out.read_text().count("\n") == 2)
    assert out.read_text().split("\n") == [AWKWARD, *values.values()]
    with pytest.raises(Complaint, match="both kinds of quotes"):
        supervisord.render([replace(one, environment={"X": AWKWARD})], HERE, state)


def test_a_killed_service_is_started_again(state: State) -> None:
    one = service("one", "exec sleep 600")
    supervisor = supervise(state, one)
    starting.start_service(one, state, supervisor)
    before = supervisor.states()["one"].pid
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: supervisor.states()["one"].pid not in (0, before))


def test_a_service_that_cannot_start_says_why(state: State) -> None:
    broken = service("broken", "echo the disk is made of cheese >&2; exit 3")
    supervisor = supervise(state, broken)
    with pytest.raises(Complaint, match="starting broken: it does not stay up") as caught:
        starting.start_service(broken, state, supervisor)
    assert "made of cheese" in caught.value.detail
    assert "slipstream logs broken" in str(caught.value)


def test_a_service_that_is_never_healthy_says_what_its_probe_met(state: State) -> None:
    probe = CommandProbe(Command(("sh", "-c", "echo nobody home; exit 1"), "asking"))
    deaf = service("deaf", "exec sleep 600", probe=probe, start_timeout_seconds=1)
    supervisor = supervise(state, deaf)
    with pytest.raises(Complaint, match=r"not healthy after 1 s \(nobody home\)"):
        starting.start_service(deaf, state, supervisor)


def test_what_comes_first_and_after_is_carried_out_in_order(state: State) -> None:
    trail = state.root / "trail"

    def write(word: str) -> Command:
        return Command(("/bin/sh", "-c", f"echo {word} >> {trail}"), f"writing {word}")

    one = service(
        "one",
        f"echo running >> {trail}; exec sleep 600",
        first=(write("first"),),
        unless_exists=trail,
        after_start=(write("after"),),
    )
    supervisor = supervise(state, one)
    starting.start_service(one, state, supervisor)
    assert trail.read_text().split() == ["first", "running", "after"]
    supervisor.stop("one")
    starting.start_service(one, state, supervisor)
    assert trail.read_text().split() == ["first", "running", "after", "running", "after"]


def test_orphans_are_known_by_pid_and_birth_and_ended(state: State) -> None:
    one = service("one", "exec sleep 600")
    supervisor = supervise(state, one)
    starting.start_service(one, state, supervisor)
    leftovers.write_down(state, supervisor)
    orphan = supervisor.states()["one"].pid
    stranger = subprocess.Popen(["sleep", "600"])
    try:
        rows = json.loads((state.run / "processes.json").read_text())
        rows.append({"service": "stranger", "pid": stranger.pid, "born": psutil.Process(stranger.pid).create_time() - 1000})
        (state.run / "processes.json").write_text(json.dumps(rows))
        assert supervisor.pid
        os.kill(supervisor.pid, signal.SIGKILL)
        wait_until(lambda: supervisor.pid is None)
        assert psutil.pid_exists(orphan)
        assert leftovers.end_leftovers(state) == ["one"]
        assert not psutil.pid_exists(orphan) or psutil.Process(orphan).status() == psutil.STATUS_ZOMBIE
        assert stranger.poll() is None, "a pid that was given to somebody else is left alone"
    finally:
        stranger.kill()
        stranger.wait()


def test_orphans_that_nobody_wrote_down_are_known_by_their_mark(state: State) -> None:
    """A service that was restarted after the last record, as in a stack that runs detached."""
    marked = service("marked", "exec sleep 600")
    titled = service("titled", f"cd {state.data}/titled && exec env -i sleep 600", folders=(state.data / "titled",))
    supervisor = supervise(state, marked, titled)
    for one in (marked, titled):
        starting.start_service(one, state, supervisor)
    orphans = [found.pid for found in supervisor.states().values()]
    other = subprocess.Popen(["sleep", "600"], env={**os.environ, supervisord.STATE_VARIABLE: str(state.root)})
    try:
        assert supervisor.pid
        os.kill(supervisor.pid, signal.SIGKILL)
        wait_until(lambda: supervisor.pid is None)
        wait_until(lambda: all(psutil.Process(pid).ppid() == 1 for pid in orphans))
        assert leftovers.end_leftovers(state) == ["marked", "titled"]
        assert not [pid for pid in orphans if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
        assert other.poll() is None, "who has a parent is left alone"
    finally:
        other.kill()
        other.wait()


def test_down_works_without_the_project(state: State) -> None:
    services = (service("cache", "exec sleep 600"), service("edge", "exec sleep 600", layer="edge"))
    supervisor = supervise(state, *services)
    for one in services:
        starting.start_service(one, state, supervisor)
    said: list[str] = []
    assert bring_down(state, said.append)
    assert said == ["  edge stopped", "  cache stopped"], "visitors' side first, data last"
    assert supervisor.pid is None
    assert not bring_down(state, said.append)


def test_a_changed_configuration_is_told_apart(state: State) -> None:
    kept, changed, gone = (service(name, "exec sleep 600") for name in ("kept", "changed", "gone"))
    supervisor = supervise(state, kept, changed, gone)
    new = service("changed", "exec sleep 601")
    execution.write_file(supervisord.render((kept, new, service("new", "exec sleep 600")), HERE, state))
    assert supervisor.read_configuration() == (["new"], ["changed"], ["gone"])


def test_units_quote_what_systemd_would_expand() -> None:
    one = Service("one", "cache", ("/bin/echo", AWKWARD, ""), "cache", RunningProbe("one"), {"AWKWARD": AWKWARD})
    unit, target = systemd.render([one], State(Path("/srv/x"), Path("/srv/x/run")), Path("/etc/systemd/system"))
    lines = dict(line.split("=", 1) for line in unit.content.splitlines() if "=" in line and not line.startswith("Environment"))
    assert lines["User"] == "slipstream-cache"
    command = lines["ExecStart"].replace("%%", "%").replace("$$", "$")
    assert shlex.split(command) == ["/bin/echo", AWKWARD, ""]
    assert "slipstream-one.service" in target.content


def test_systemd_accepts_the_units(tmp_path: Path) -> None:
    """systemd's own checker reads them; it complains about a missing program only."""
    one = Service("one", "cache", ("/bin/sleep", "600"), "cache", RunningProbe("one"))
    for file in systemd.render([one], State(tmp_path, tmp_path / "run"), tmp_path):
        execution.write_file(file)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / "slipstream-one.service")],
        capture_output=True,
        text=True,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if "slipstream-one.service" in line and "not executable" not in line]
    assert not complaints, done.stderr
