"""`slipstream up` in the foreground: a live table on a terminal, and one Ctrl-C that stops everything cleanly."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import time

import psutil
import pytest
from sites import Site


class Terminal:
    """A program on a pseudo terminal, with all that it wrote."""

    def __init__(self, site: Site, *arguments: str) -> None:
        self.master, slave = pty.openpty()
        environment = {**site.full_environment(), "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
        self.process = subprocess.Popen(
            site.command(*arguments),
            cwd=site.folder,
            env=environment,
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.written = ""

    def read_until(self, text: str, timeout_seconds: float = 180) -> None:
        deadline = time.monotonic() + timeout_seconds
        while text not in self.written:
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.written}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.written += os.read(self.master, 65536).decode(errors="replace")
                except OSError:  # the program has ended and its terminal is closed
                    assert text in self.written, f"no {text!r} in:\n{self.written}"


@pytest.mark.parametrize("signal_name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_one_signal_stops_everything_cleanly(bare: Site, signal_name: str) -> None:
    terminal = Terminal(bare, "up")
    terminal.read_until("Healthy after")
    terminal.read_until("accelerator-log")
    pids = [row["pid"] for row in bare.status()["services"]]
    assert len(pids) >= 6
    os.kill(terminal.process.pid, getattr(signal, signal_name))
    terminal.read_until("cache stopped")
    assert terminal.process.wait(60) == 130
    assert not [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]
    assert "Traceback" not in terminal.written
    assert "the stack is not running" in bare.complaint("status")


def test_ctrl_c_in_the_middle_of_the_start_leaves_nothing_behind(bare: Site) -> None:
    terminal = Terminal(bare, "up")
    terminal.read_until("is healthy")
    os.kill(terminal.process.pid, signal.SIGINT)
    assert terminal.process.wait(60) == 130
    assert "the stack is not running" in bare.complaint("status")
    up = bare.slipstream("up", "--detach")
    assert "Ended what a crash had left running" not in up.stderr


def test_down_from_another_terminal_ends_the_foreground_too(bare: Site) -> None:
    terminal = Terminal(bare, "up")
    terminal.read_until("Healthy after")
    bare.slipstream("down")
    terminal.process.wait(60)
    assert "Traceback" not in terminal.written


def test_a_small_machine_gets_small_servers_and_a_warning(bare: Site) -> None:
    (bare.folder / "slipstream.toml").write_text('[host]\nmemory = "300 MB"\ncores = 1\n')
    up = bare.slipstream("up", "--detach")
    assert "budget of 300 MB" in up.stderr
    assert {row["state"] for row in bare.status()["services"]} == {"healthy"}
    with bare.visitor() as visitor:
        assert visitor.get("/admin/login/").status_code == 200


def test_two_stacks_run_side_by_side(bare: Site, projects: object, django_environment: object) -> None:
    from conftest import start_project

    other = start_project(bare.folder.parent / "side-by-side", bare.python)  # type: ignore[arg-type]
    try:
        bare.slipstream("up", "--detach")
        up = other.slipstream("up", "--detach")
        assert "is held by" in up.stderr, "the second one says who has the ports"
        for site in (bare, other):
            assert {row["state"] for row in site.status()["services"]} == {"healthy"}
            with site.visitor() as visitor:
                assert visitor.get("/admin/login/").status_code == 200
        assert bare.addresses["site"] != other.addresses["site"]
    finally:
        other.slipstream("down", "--destroy", "--yes", check=False)
