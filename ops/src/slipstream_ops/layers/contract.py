"""What every product package offers and the values it speaks in: nothing here touches a disk, a socket or a process.

A product is a package ``layers.<layer>.<server>`` with these module-level names (see ``Product``). It builds values;
``execution`` writes files and runs commands, ``supervision`` keeps services running, ``lifecycle`` decides when.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Protocol

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class File:
    """One rendered file, at an absolute path; with ``is_secret`` it is written 0600, owned by ``account``."""

    path: Path
    content: str
    account: str | None = None
    is_secret: bool = False
    is_executable: bool = False


@dataclass(frozen=True)
class Command:
    """A program to run to its end. ``why`` completes "while ..." in an error message ("checking the edge's configuration")."""

    argv: tuple[str, ...]
    why: str
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING, repr=False)  # may carry a password, as may stdin
    directory: Path | None = None
    account: str | None = None  # whose rights it runs with; None: the caller's
    timeout_seconds: float = 60.0
    stdin: str = field(default="", repr=False)


@dataclass(frozen=True)
class Exchange:
    """Bytes sent to a TCP address or a unix socket, and the answer read until it ends or ``until`` is seen.

    With ``tls_name`` they travel in TLS, and the server's certificate must be valid for that name.
    """

    to: Path | tuple[str, int]
    send: bytes = field(repr=False)  # may carry a password
    until: bytes | None = None
    timeout_seconds: float = 2.0
    tls_name: str | None = None


@dataclass(frozen=True)
class Signal:
    """A signal to a service's main process, by service name."""

    service: str
    name: str  # "HUP", "USR2"


@dataclass(frozen=True)
class Restart:
    """The service is stopped and started by whoever supervises it."""

    service: str


@dataclass(frozen=True)
class Wait:
    """Go on only when this probe succeeds."""

    probe: Probe
    why: str
    timeout_seconds: float = 60.0


@dataclass(frozen=True)
class WriteFile:
    """Replace a file's content at once (write beside, rename): for touch files and files re-rendered in mid-reload."""

    file: File


Action = Command | Exchange | Signal | Restart | Wait | WriteFile
"""What a reload, a drain or a purge is made of; carried out in order, the first failure ends it."""


@dataclass(frozen=True)
class HttpProbe:
    """Healthy when GET ``path`` answers with one of ``statuses``."""

    to: Path | tuple[str, int]
    path: str = "/"
    host: str = "localhost"
    statuses: tuple[int, ...] = (200,)
    tls: bool = False
    timeout_seconds: float = 2.0


@dataclass(frozen=True)
class ExchangeProbe:
    """Healthy when the answer to the exchange contains ``expect``."""

    exchange: Exchange
    expect: bytes


@dataclass(frozen=True)
class CommandProbe:
    """Healthy when the command exits with 0 (and its output contains ``expect``)."""

    command: Command
    expect: str = ""


@dataclass(frozen=True)
class RunningProbe:
    """Healthy when the process has been running for ``seconds``: for services that listen nowhere."""

    service: str
    seconds: float = 1.0


Probe = HttpProbe | ExchangeProbe | CommandProbe | RunningProbe


@dataclass(frozen=True)
class Service:
    """One supervised process (with its children).

    ``account`` names the unprivileged user it runs as when the tool runs as root (``slipstream-<account>``); a service
    that must open privileged ports first sets ``drops_itself`` and does the switch in its own configuration.
    ``first`` are commands carried out before its start when ``unless_exists`` is missing (creating a database's files).
    ``after_start`` are commands carried out after each start, once the probe succeeds and before any other service starts
    (creating a database's users); each leaves alone what is already as it should be. The first failure ends the start.
    ``reads`` and ``writes`` are paths outside the state folder that its account must reach.
    """

    name: str
    layer: str
    command: tuple[str, ...]
    account: str
    probe: Probe
    environment: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    directory: Path | None = None
    drops_itself: bool = False
    folders: tuple[Path, ...] = ()  # made before the start, owned by the account, mode 0750 unless a socket lives there
    first: tuple[Command, ...] = ()
    unless_exists: Path | None = None
    after_start: tuple[Command, ...] = ()
    reads: tuple[Path, ...] = ()
    writes: tuple[Path, ...] = ()
    stop_signal: str = "TERM"
    stop_timeout_seconds: int = 10
    start_timeout_seconds: int = 30
    open_files: int = 4096
    follows: str | None = None  # the service of the same layer that must be healthy before this one starts
    listens: tuple[str, ...] = ()  # endpoint names


@dataclass(frozen=True)
class EndpointNeed:
    """An address that a product listens on; ``preferred`` is tried first, another is taken when it is busy and not ``pinned``."""

    name: str
    preferred: int
    pinned: bool = False
    public: bool = False
    socket: str | None = None  # file name of a unix socket beside the port, in the run folder


@dataclass(frozen=True)
class Sized:
    """A tuned number: its value as written in the configuration, how it was computed and why."""

    name: str
    value: int | float | str
    formula: str
    reason: str


@dataclass(frozen=True)
class VitalsSource:
    """Where a product's numbers come from; ``parse`` of the product turns the raw text into the layer's vitals."""

    service: str
    ask: Command | Exchange | HttpProbe


@dataclass(frozen=True)
class Requirement:
    """A program on the host and the Debian package that brings it."""

    binary: str
    package: str
    places: tuple[str, ...] = field(default=())  # folders looked in beside PATH


@dataclass(frozen=True)
class Lent:
    """A package that the project's processes need for this product; lent only when they have none of ``modules``."""

    modules: tuple[str, ...]
    requirement: str


class Product(Protocol):
    """The names a product package offers. ``stack`` and ``host`` are ``placement.Stack`` and ``placement.Host``.

    Beside these, the products of some layers offer (ask with ``getattr``; absent means nothing to offer):

    - ``offer(stack, host)`` (database, cache, broker, mail): the layer's entry of the overlay document in the form of
      ``wire.OVERLAY_KEYS``, for the project's processes on ``host``; None when the project keeps what it has.
    - ``preflight(stack, host)`` (``external`` products): tuple of ``Wait`` that must succeed on ``host`` before anything is
      started, because nobody supervises what others run: an address that does not answer is told in one sentence.
    - ``UNHURRIED`` (database): environment for processes of the project that no visitor waits for (migrations, management
      commands, workers); it lifts the time limits that the database puts on a request's statements.
    - ``RUNS_ASGI`` (appserver): true when it also runs projects that have an ASGI application only (``Project.asgi``).
    """

    TITLE: str
    REQUIREMENTS: tuple[Requirement, ...]
    LENDS: tuple[Lent, ...]

    def endpoints(self, config: Any, host: Any) -> tuple[EndpointNeed, ...]: ...
    def sizes(self, stack: Any, host: Any) -> tuple[Sized, ...]: ...
    def render(self, stack: Any, host: Any) -> tuple[File, ...]: ...
    def check(self, stack: Any, host: Any) -> tuple[Command, ...]: ...
    def services(self, stack: Any, host: Any) -> tuple[Service, ...]: ...
    def reload(self, stack: Any, host: Any) -> tuple[Action, ...]: ...
    def vitals_sources(self, stack: Any, host: Any) -> tuple[VitalsSource, ...]: ...
    def parse(self, raw: str) -> Any: ...
