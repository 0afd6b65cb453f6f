"""The one place where commands run and files are written; everything else builds values and reads results."""

from __future__ import annotations

import grp
import os
import pwd
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx

from slipstream_ops.complaint import Complaint
from slipstream_ops.layers.contract import Command, CommandProbe, Exchange, ExchangeProbe, File, HttpProbe, Probe, RunningProbe

ACCOUNT_PREFIX = "slipstream-"
SYSTEM_FOLDERS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Servers live in sbin, which is not on every user's PATH."""


def is_root() -> bool:
    return os.geteuid() == 0


def user_of(account: str | None) -> pwd.struct_passwd | None:
    """The system user behind ``account``; None when the tool is not root, because then everything runs as the caller."""
    if account is None or not is_root():
        return None
    try:
        return pwd.getpwnam(ACCOUNT_PREFIX + account)
    except KeyError:
        raise Complaint(
            f"looking for the system user {ACCOUNT_PREFIX}{account}", "it does not exist", "Run `slipstream install` as root"
        ) from None


def search_path() -> str:
    return os.environ.get("PATH", "") + ":" + SYSTEM_FOLDERS


@dataclass(frozen=True)
class Result:
    command: Command
    exit_code: int
    output: str  # standard output
    errors: str  # standard error

    @property
    def succeeded(self) -> bool:
        return self.exit_code == 0

    @property
    def transcript(self) -> str:
        return "\n".join(part.strip() for part in (self.output, self.errors) if part.strip())


def run(command: Command) -> Result:
    """Carry out ``command`` with its account's rights; ``Complaint`` when it cannot start or does not end in time."""
    user = user_of(command.account)
    environment = {**os.environ, "PATH": search_path(), **command.environment}
    if user:
        environment.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    try:
        done = subprocess.run(
            command.argv,
            input=command.stdin,
            capture_output=True,
            text=True,
            errors="replace",
            cwd=command.directory or (Path("/") if user else None),
            env=environment,
            timeout=command.timeout_seconds,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=_groups_of(user) if user else None,
            check=False,
        )
    except FileNotFoundError:
        raise Complaint(command.why, f"the program {command.argv[0]} was not found", "Run `slipstream install`") from None
    except PermissionError as error:
        raise Complaint(command.why, f"{command.argv[0]} may not be run ({error.strerror})", "Check its permissions") from None
    except subprocess.TimeoutExpired as error:
        output = (error.stderr or b"") if isinstance(error.stderr, bytes) else (error.stderr or "").encode()
        raise Complaint(
            command.why,
            f"{Path(command.argv[0]).name} did not end within {command.timeout_seconds:.0f} s",
            detail=output.decode(errors="replace"),
        ) from None
    return Result(command, done.returncode, done.stdout, done.stderr)


def run_or_complain(command: Command, next_step: str = "") -> Result:
    """As ``run``, but an exit code other than 0 is a ``Complaint`` that quotes the output."""
    result = run(command)
    if not result.succeeded:
        raise Complaint(
            command.why, f"{Path(command.argv[0]).name} ended with exit code {result.exit_code}", next_step, result.transcript
        )
    return result


def _groups_of(user: pwd.struct_passwd) -> list[int]:
    return [g.gr_gid for g in grp.getgrall() if user.pw_name in g.gr_mem]


def write_file(file: File) -> bool:
    """Put ``file`` in place in one step (written beside, then renamed); True when that changed anything."""
    mode = 0o600 if file.is_secret else 0o644
    if file.is_executable:
        mode |= 0o111
    user = user_of(file.account)
    try:
        if file.path.is_file() and file.path.read_text(encoding="utf-8") == file.content:
            stat = file.path.stat()
            if (stat.st_mode & 0o777) == mode and (user is None or stat.st_uid == user.pw_uid):
                return False
        file.path.parent.mkdir(parents=True, exist_ok=True)
        beside = file.path.with_name(f".{file.path.name}.new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            os.fchmod(stream.fileno(), mode)
            if user:
                os.fchown(stream.fileno(), user.pw_uid, user.pw_gid)
            stream.write(file.content)
        beside.replace(file.path)
    except OSError as error:
        raise Complaint(
            f"writing {file.path}", error.strerror or str(error), "Check the disk's free space and the folder's permissions"
        ) from None
    return True


def make_folder(path: Path, account: str | None = None, mode: int = 0o755) -> None:
    """Create ``path`` (and its parents) owned by ``account``."""
    user = user_of(account)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if user and path.stat().st_uid != user.pw_uid:
            os.chown(path, user.pw_uid, user.pw_gid)
        if (path.stat().st_mode & 0o7777) != mode and path.stat().st_uid == (user.pw_uid if user else os.geteuid()):
            path.chmod(mode)
    except OSError as error:
        raise Complaint(
            f"making the folder {path}", error.strerror or str(error), "Check the disk's free space and the folder's permissions"
        ) from None


def exchange(what: Exchange) -> bytes:
    """Send the bytes, return the answer; OSError when nobody answers in time."""
    deadline = time.monotonic() + what.timeout_seconds
    with ExitStack() as cleanup:
        if isinstance(what.to, Path):
            connection = cleanup.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            connection.settimeout(what.timeout_seconds)
            connection.connect(str(what.to))
        else:
            connection = cleanup.enter_context(socket.create_connection(what.to, what.timeout_seconds))
        if what.tls_name is not None:
            tls = ssl.create_default_context().wrap_socket(connection, server_hostname=what.tls_name)
            connection = cleanup.enter_context(tls)
        if what.send:  # a server that speaks first may have answered and closed already
            connection.sendall(what.send)
        answer = b""
        while what.until is None or what.until not in answer:
            connection.settimeout(max(0.001, deadline - time.monotonic()))
            part = connection.recv(65536)
            if not part:
                break
            answer += part
        return answer


def fetch(probe: HttpProbe) -> httpx.Response:
    """The answer to GET ``path``, certificates of the local authority not verified (the address is loopback or private)."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if isinstance(probe.to, Path):
        transport, netloc = httpx.HTTPTransport(uds=str(probe.to), verify=context), "localhost"
    else:
        transport, netloc = httpx.HTTPTransport(verify=context), f"{probe.to[0]}:{probe.to[1]}"
    with httpx.Client(transport=transport, timeout=probe.timeout_seconds) as client:
        return client.get(f"{'https' if probe.tls else 'http'}://{netloc}{probe.path}", headers={"Host": probe.host})


def find_fault(probe: Probe, is_running_since: Callable[[str], float | None] = lambda service: None) -> str | None:
    """None when the probe succeeds, else what it met. ``is_running_since``: seconds that a service has been running."""
    match probe:
        case HttpProbe():
            try:
                status = fetch(probe).status_code
            except (httpx.HTTPError, OSError) as error:
                return f"no HTTP answer ({error})"
            return None if status in probe.statuses else f"HTTP status {status}"
        case ExchangeProbe():
            try:
                answer = exchange(probe.exchange)
            except OSError as error:
                return f"no answer ({error})"
            return None if probe.expect in answer else f"unexpected answer {answer[:200]!r}"
        case CommandProbe():
            try:
                result = run(probe.command)
            except Complaint as complaint:
                return str(complaint)
            if result.succeeded and probe.expect in result.output:
                return None
            return result.transcript or f"exit code {result.exit_code}"
        case RunningProbe():
            seconds = is_running_since(probe.service)
            return None if seconds is not None and seconds >= probe.seconds else "not running long enough yet"


def wait_for(
    probe: Probe,
    timeout_seconds: float,
    is_running_since: Callable[[str], float | None] = lambda service: None,
    may_go_on: Callable[[], bool] = lambda: True,
) -> str | None:
    """Repeat the probe until it succeeds (None) or time is over or ``may_go_on`` says no (the last fault)."""
    deadline = time.monotonic() + timeout_seconds
    pause = 0.02
    while True:
        fault = find_fault(probe, is_running_since)
        if fault is None or time.monotonic() > deadline or not may_go_on():
            return fault
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


def run_in_foreground(command: Command) -> int:
    """Carry out ``command`` on the caller's own terminal (input, output, Ctrl-C go to it); its exit code."""
    user = user_of(command.account)
    environment = {**os.environ, "PATH": search_path(), **command.environment}
    if user:
        environment.update(HOME=user.pw_dir, USER=user.pw_name, LOGNAME=user.pw_name)
    try:
        process = subprocess.Popen(
            command.argv,
            cwd=command.directory,
            env=environment,
            user=user.pw_uid if user else None,
            group=user.pw_gid if user else None,
            extra_groups=_groups_of(user) if user else None,
        )
    except OSError as error:
        raise Complaint(command.why, f"{command.argv[0]} cannot be run ({error.strerror})", "Check the path") from None
    while True:
        try:
            return process.wait()
        except KeyboardInterrupt:
            continue  # the program got it too and decides
