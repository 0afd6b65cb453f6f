"""``install`` as an ordinary user: what sudo is asked to do is what the user asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from slipstream_ops.cli import installing
from slipstream_ops.layers.contract import Command, Requirement


def test_the_named_project_is_named_to_sudo_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it the default servers would be installed, and not those of the project's stack file."""
    carried_out: list[Command] = []
    monkeypatch.setattr(installing.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(installing, "run_in_foreground", lambda command: carried_out.append(command) or 0)
    monkeypatch.chdir(tmp_path)
    installing.become_root((Requirement("nginx", "nginx"),), True, Path("site"))
    installing.become_root((Requirement("nginx", "nginx"),), True, None)
    assert carried_out[0].argv[-4:] == ("install", "--yes", "--project", str(tmp_path / "site"))
    assert carried_out[1].argv[-2:] == ("install", "--yes")
