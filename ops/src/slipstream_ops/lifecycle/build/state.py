"""The state folder ``.slipstream/``: made, recognised, locked; a folder of another version is refused, never guessed at."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from pathlib import Path

from slipstream_ops import __version__
from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import make_folder, write_file
from slipstream_ops.layers.contract import File
from slipstream_ops.placement import Secrets, State

FOLDER_NAME = ".slipstream"
LAYOUT = 1
"""Raised when an older tool could not work with the folder any more."""

LONGEST_SOCKET_PATH = 107
"""Bytes that Linux allows for the address of a unix socket (sun_path is 108 with its end)."""

LONGEST_SOCKET_NAME = len("/accelerator/http.sock.12345.tmp") + 8


def locate_state(project_root: Path) -> State:
    """Paths of the state folder of a project; nothing is made."""
    root = project_root / FOLDER_NAME
    run = root / "run"
    if len(os.fsencode(run)) + LONGEST_SOCKET_NAME > LONGEST_SOCKET_PATH:
        digest = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
        run = Path(tempfile.gettempdir()) / f"slipstream-{os.geteuid()}-{digest}"
    return State(root, run)


def open_state(project_root: Path) -> State:
    """The state folder, made when missing. Raises ``Complaint`` when another version's layout is found."""
    state = locate_state(project_root)
    marker = state.root / "version.json"
    if state.root.exists() and marker.exists():
        refuse_other_layout(state)
    for folder in (state.root, state.rendered, state.data, state.lent):
        make_folder(folder)
    make_folder(state.logs, mode=0o700)  # addresses of pages carry tokens (resetting a password), slow statements carry data
    if state.run.exists() and state.run.stat().st_uid != os.geteuid():
        raise Complaint(f"opening {state.run}", "it belongs to another user", "Remove it, or set TMPDIR to a folder of your own")
    make_folder(state.run)
    write_file(File(state.root / ".gitignore", "# Made by slipstream; `slipstream down --destroy` removes the folder.\n*\n"))
    write_file(File(marker, json.dumps({"layout": LAYOUT, "version": __version__}) + "\n"))
    return state


def refuse_other_layout(state: State) -> None:
    """Complain when the folder was made by a version whose layout this one does not know."""
    marker = state.root / "version.json"
    try:
        found = json.loads(marker.read_text())
        layout, version = int(found["layout"]), str(found["version"])
    except (OSError, ValueError, KeyError, TypeError):
        raise Complaint(
            f"opening the state folder {state.root}",
            f"{marker.name} in it cannot be understood",
            f"If the stack's own database is not needed, run `slipstream down --destroy`; otherwise save {state.data} first",
        ) from None
    if layout != LAYOUT:
        raise Complaint(
            f"opening the state folder {state.root}",
            f"it was made by slipstream {version} (layout {layout}; this is {__version__}, layout {LAYOUT})",
            "Use that version, or save what you need of it and run `slipstream down --destroy`",
        )


@contextmanager
def locked(state: State, doing: str) -> Iterator[None]:
    """Hold the stack's lock: one command that changes the stack at a time."""
    try:
        lock = (state.root / "lock").open("a+")
    except OSError as error:
        raise Complaint(
            doing, f"{error.filename}: {error.strerror}", "Run the command as the user who started the stack"
        ) from None
    with lock as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            holder = stream.read().strip() or "another slipstream command"
            raise Complaint(doing, f"{holder} is changing this stack right now", "Wait for it to end, then try again") from None
        stream.seek(0)
        stream.truncate()
        stream.write(f"process {os.getpid()} ({doing})")
        stream.flush()
        yield


def refuse_changing(state: State, doing: str) -> None:
    """Raise ``Complaint`` while another command holds the stack's lock."""
    if (state.root / "lock").exists():
        with locked(state, doing):
            pass


def remember_wish(state: State, name: str, value: str) -> None:
    """Keep what ``up`` was told (an interpreter, a stack file), so that later verbs need not be told again."""
    write_file(File(state.root / "told.json", json.dumps({**_told(state), name: value}) + "\n"))


def remembered_wish(state: State, name: str) -> str | None:
    return _told(state).get(name)


def _told(state: State) -> dict[str, str]:
    try:
        found = json.loads((state.root / "told.json").read_text())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def keep_secrets(state: State) -> Secrets:
    """The stack's secrets, generated once into ``secrets.env`` (mode 0600) and kept from then on."""
    path = state.root / "secrets.env"
    known: dict[str, str] = {}
    if path.exists():
        try:
            lines = path.read_text().splitlines()
        except OSError as error:
            raise Complaint(
                f"reading {path}", error.strerror or str(error), "Run the command as the user who started the stack"
            ) from None
        known = dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    values = {f.name: known.get(f.name.upper()) or secrets.token_urlsafe(32) for f in fields(Secrets)}
    found = Secrets(**values)
    text = "# Generated by slipstream for this stack only. Never share or commit this file.\n"
    text += "".join(f"{name.upper()}={value}\n" for name, value in asdict(found).items())
    write_file(File(path, text, is_secret=True))
    return found
