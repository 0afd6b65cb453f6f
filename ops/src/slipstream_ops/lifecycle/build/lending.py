"""Lends the project's processes what they lack, by path and behind the project's own packages; nothing enters its environment."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from slipstream.wire import LENT_VARIABLE, VERSION
from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import make_folder, run, write_file
from slipstream_ops.layers.contract import Command, File, Lent
from slipstream_ops.lifecycle.build.interpreter import Interpreter
from slipstream_ops.placement import State


def runtime_folder(state: State) -> Path:
    return state.lent / "slipstream"


def packages_folder(state: State) -> Path:
    return state.lent / "packages"


def lend_runtime(state: State, interpreter: Interpreter) -> None:
    """Copy the runtime package beside the state, unless the project has the same version installed itself."""
    if interpreter.runtime is not None:
        if interpreter.runtime != VERSION:
            raise Complaint(
                f"comparing versions with {interpreter.python}",
                f"slipstream {interpreter.runtime} is installed in the project, and the tool is {VERSION}",
                f"Install slipstream=={VERSION} in the project, or remove it there (the tool lends its own)",
            )
        shutil.rmtree(runtime_folder(state), ignore_errors=True)
        make_folder(runtime_folder(state))
        return
    spec = importlib.util.find_spec("slipstream")
    if spec is None or not spec.submodule_search_locations:
        raise Complaint(
            "looking for the runtime to lend",
            "the package slipstream is not installed beside the tool",
            "Reinstall slipstream-ops",
        )
    source = Path(next(iter(spec.submodule_search_locations)))
    target = runtime_folder(state) / "slipstream"
    kept: set[Path] = set()
    for path in source.rglob("*"):
        if "__pycache__" in path.parts or not path.is_file():
            continue
        place = target / path.relative_to(source)
        kept.add(place)
        if not place.exists() or place.read_bytes() != path.read_bytes():
            make_folder(place.parent)
            shutil.copyfile(path, place)
            place.chmod(0o644)
    for path in target.rglob("*"):
        if path.is_file() and path not in kept and "__pycache__" not in path.parts:
            path.unlink()


def missing_packages(interpreter: Interpreter, lent: Sequence[Lent]) -> tuple[str, ...]:
    """Requirements of which the project's interpreter has none of the modules."""
    return tuple(sorted({item.requirement for item in lent if not (set(item.modules) & interpreter.installed)}))


def lend_packages(state: State, interpreter: Interpreter, requirements: Sequence[str]) -> bool:
    """Install ``requirements`` for the project's interpreter into the state folder; True when something had to be fetched."""
    target, stamp = packages_folder(state), state.lent / "packages.json"
    wanted = json.dumps({"tag": interpreter.tag, "requirements": sorted(requirements)})
    if stamp.exists() and stamp.read_text() == wanted and target.is_dir():
        return False
    stamp.unlink(missing_ok=True)
    shutil.rmtree(target, ignore_errors=True)
    make_folder(target)
    if requirements:
        doing = f"installing {', '.join(requirements)} to lend to the project"
        result = run(Command((*_installer(interpreter), "--target", str(target), *requirements), doing, timeout_seconds=600))
        if not result.succeeded:
            shutil.rmtree(target, ignore_errors=True)
            raise Complaint(
                doing,
                "the installer failed",
                "Check the connection, or install them in the project's own environment",
                result.transcript[-2000:],
            )
    write_file(File(stamp, wanted))
    return bool(requirements)


def _installer(interpreter: Interpreter) -> tuple[str, ...]:
    quiet = ("install", "--quiet", "--no-input", "--disable-pip-version-check", "--no-warn-script-location")
    for start in ((str(interpreter.python), "-m", "pip"), (sys.executable, "-m", "pip", "--python", str(interpreter.python))):
        if run(Command((*start, "--version"), "looking for pip", timeout_seconds=30)).succeeded:
            return (*start, *quiet)
    if uv := shutil.which("uv"):
        return (uv, "pip", "install", "--quiet", "--python", str(interpreter.python))
    raise Complaint("looking for a package installer", "neither pip nor uv was found", "Install pip in the project's environment")


def lent_environment(state: State) -> dict[str, str]:
    """Variables that make the lent packages reachable."""
    return {"PYTHONPATH": str(runtime_folder(state)), LENT_VARIABLE: str(packages_folder(state))}
