"""As root: lets each service's own user reach what it must read or write, through access control lists that can be taken back.

A project under a private home (mode 0700) stays private: the service's user may pass through the folders above it (x, no
listing), read the project, and write only where it was told to (uploads, an SQLite file). Nothing is made readable to others.
"""

from __future__ import annotations

import json
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import ACCOUNT_PREFIX, is_root, run, run_or_complain, user_of, write_file
from slipstream_ops.layers.contract import Command, File, Service
from slipstream_ops.placement import State

ACCOUNTS = ("edge", "accelerator", "app", "cache", "broker", "database", "mail")
SKIPPED_FOLDERS = frozenset({".git", ".slipstream", "node_modules", "__pycache__"})
"""Below a readable path these are never needed by a service, and large."""


def ensure_accounts(accounts: Iterable[str] = ACCOUNTS) -> list[str]:
    """Create the missing system users (root only); the names made."""
    made = []
    for account in accounts:
        name = ACCOUNT_PREFIX + account
        try:
            pwd.getpwnam(name)
        except KeyError:
            run_or_complain(
                Command(
                    (
                        "useradd",
                        "--system",
                        "--user-group",
                        "--no-create-home",
                        "--home-dir",
                        "/nonexistent",
                        "--shell",
                        "/usr/sbin/nologin",
                        name,
                    ),
                    f"creating the system user {name}",
                )
            )
            made.append(name)
    return made


def grant_access(services: Iterable[Service], state: State) -> None:
    """Give every service's user the access it needs; what was given is written down in ``access.json``."""
    if not is_root():
        return
    given = _given(state)
    listed = list(services)
    for account in dict.fromkeys(service.account for service in listed):
        user = user_of(account)
        if user is None:
            continue
        mine = [service for service in listed if service.account == account]
        reads = dict.fromkeys(path for service in mine for path in service.reads if not _belongs_to_the_system(path))
        writes = dict.fromkeys(path for service in mine for path in service.writes)
        folders = dict.fromkeys(path for service in mine for path in service.folders)
        for path in (state.root, state.run, *folders, *reads, *writes):
            for folder in _closed_ancestors(path, user):
                _grant(folder, user.pw_name, "x", given)
        for path in reads:
            for item in _unreadable(path, user):
                _grant(item, user.pw_name, "rX", given)
        for path in writes:
            if not path.exists() and path.parent in writes:
                continue  # a file to be: what its folder passes on is enough
            is_above_code = state.root.parent == path or path in state.root.parent.parents
            _open_for_writing(path, user, given, with_everything_below=not is_above_code)
    write_file(File(state.root / "access.json", json.dumps(sorted(given)) + "\n"))


def _belongs_to_the_system(path: Path) -> bool:
    """What packages installed is readable for everybody, and there is much of it to look through."""
    return path.is_relative_to("/usr") or path.is_relative_to("/lib")


def take_back_access(state: State) -> None:
    """Remove every entry that ``grant_access`` made; files that the services made become the project's owner's."""
    given = sorted(_given(state))
    for path, name in given:
        for kind in ("", "d:"):
            run(Command(("setfacl", "-x", f"{kind}u:{name}", path), f"taking back access to {path}"))
        _drop_empty_defaults(path)
    for path, name in given:
        if Path(path).is_relative_to(state.root.parent):
            _hand_back(Path(path), name, state.root.parent.stat())
    (state.root / "access.json").unlink(missing_ok=True)


def _drop_empty_defaults(path: str) -> None:
    """Default entries that name nobody are what setfacl put beside ours; a folder that had none has none again."""
    listed = run(Command(("getfacl", "--default", "--omit-header", "--absolute-names", path), f"reading access to {path}")).output
    names_somebody = any(
        line.split(":")[0] in ("user", "group") and line.split(":")[1] for line in listed.splitlines() if ":" in line
    )
    if listed.strip() and not names_somebody:
        run(Command(("setfacl", "-k", path), f"taking back access to {path}"))


def _hand_back(path: Path, name: str, owner: os.stat_result) -> None:
    """Give ``path``, or what lies in it, to ``owner`` where it belongs to the service's user."""
    uid = pwd.getpwnam(name).pw_uid
    entries = [Path(entry.path) for entry in os.scandir(path)] if path.is_dir() else [path] if path.exists() else []
    for entry in entries:
        if entry.lstat().st_uid == uid and entry.name not in SKIPPED_FOLDERS:
            os.lchown(entry, owner.st_uid, owner.st_gid)
            if entry.is_dir() and not entry.is_symlink():
                _hand_back(entry, name, owner)


def _given(state: State) -> set[tuple[str, str]]:
    try:
        return {(str(path), str(name)) for path, name in json.loads((state.root / "access.json").read_text())}
    except (OSError, ValueError):
        return set()


def _grant(path: Path, name: str, rights: str, given: set[tuple[str, str]], default: bool = False) -> None:
    command = ["setfacl", "-m", f"u:{name}:{rights}"]
    if default:
        command += ["-m", f"d:u:{name}:{rights}"]
    result = run(Command((*command, str(path)), f"letting {name} reach {path}"))
    if not result.succeeded:
        raise Complaint(
            f"letting {name} reach {path}",
            "access control lists do not work there",
            "Move the project to a folder that others may read (such as /srv), or run slipstream as an ordinary user",
            result.transcript,
        )
    given.add((str(path), name))


def _may(found: os.stat_result, user: pwd.struct_passwd, bits: int) -> bool:
    """Whether plain permissions give ``user`` all of ``bits`` (4 read, 2 write, 1 pass)."""
    if found.st_uid == user.pw_uid:
        return (found.st_mode >> 6) & bits == bits
    if found.st_gid == user.pw_gid:
        return (found.st_mode >> 3) & bits == bits
    return found.st_mode & bits == bits


def _closed_ancestors(path: Path, user: pwd.struct_passwd) -> Iterator[Path]:
    """Folders on the way to ``path`` (links followed) that the user may not pass."""
    for start in {path.absolute(), path.resolve()}:
        for folder in reversed([start, *start.parents]):
            if folder.is_dir() and not _may(folder.stat(), user, 1):
                yield folder


def _unreadable(path: Path, user: pwd.struct_passwd) -> Iterator[Path]:
    if not path.exists():
        return
    found = path.stat()
    if stat.S_ISDIR(found.st_mode):
        if not _may(found, user, 5):
            yield path
        for entry in os.scandir(path):
            if entry.is_symlink() or (entry.is_dir(follow_symlinks=False) and entry.name in SKIPPED_FOLDERS):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _unreadable(Path(entry.path), user)
            elif entry.is_file(follow_symlinks=False) and not _may(entry.stat(), user, 4):
                yield Path(entry.path)
    elif not _may(found, user, 4):
        yield path


def _open_for_writing(path: Path, user: pwd.struct_passwd, given: set[tuple[str, str]], with_everything_below: bool) -> None:
    """Uploads are opened with all folders below; a folder that holds the project's code (SQLite beside it) only itself."""
    if not path.exists():
        path.mkdir(parents=True)
    if path.is_file():
        if not _may(path.stat(), user, 6):
            _grant(path, user.pw_name, "rw", given)
        return
    if not _may(path.stat(), user, 7):
        _grant(path, user.pw_name, "rwx", given, default=True)
    for entry in os.scandir(path) if with_everything_below else ():
        if entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED_FOLDERS:
            _open_for_writing(Path(entry.path), user, given, with_everything_below)
