"""Which layer runs on which host, and where it listens; this machine is one placement among others."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slipstream_ops.stack import StackFile

if TYPE_CHECKING:
    from slipstream_ops.layers.contract import Product, Service

LAYERS = ("edge", "accelerator", "appserver", "application", "cache", "database", "broker", "workers", "mail")
"""In the order of the journey of a request, then what works beside it."""

START_ORDER = ("database", "cache", "broker", "mail", "application", "appserver", "workers", "accelerator", "edge")
"""Each layer is healthy before the next one starts; stopping goes the other way."""


@dataclass(frozen=True)
class Endpoint:
    """Where a service listens: a TCP address, and a unix socket beside it when both ends share a host."""

    address: str
    port: int
    socket: Path | None = None

    @property
    def netloc(self) -> str:
        return f"[{self.address}]:{self.port}" if ":" in self.address else f"{self.address}:{self.port}"


@dataclass(frozen=True)
class Host:
    """One machine of the stack. ``memory_bytes`` is the budget for all services placed on it together."""

    name: str
    address: str
    cores: int
    memory_bytes: int
    layers: frozenset[str] = frozenset(LAYERS)
    is_root: bool = False  # services drop to users of their own
    is_local: bool = True

    @property
    def is_shared(self) -> bool:
        """More than one server product competes for this host's memory and cores."""
        return len(self.layers - {"application"}) > 1


@dataclass(frozen=True)
class DatabaseFacts:
    """One entry of the project's DATABASES, without its password."""

    alias: str
    vendor: str  # "sqlite", "postgresql", "mysql", "oracle" or "unknown"
    engine: str
    name: str
    host: str = ""
    has_tables: bool | None = None  # SQLite: whether the file holds tables; others are not asked


@dataclass(frozen=True)
class Project:
    """What was found out about the project, by looking at its files and by importing its settings in its own interpreter."""

    root: Path
    python: Path
    python_version: tuple[int, ...]
    settings: str
    wsgi: str  # "package.module:name"; empty when the project runs by ``asgi``
    django_version: str
    celery: str | None = None
    databases: tuple[DatabaseFacts, ...] = ()
    installed: frozenset[str] = frozenset()  # of the modules asked about, those the project's interpreter can import
    static_url: str = "/static/"
    static_root: Path | None = None
    has_staticfiles: bool = True
    media_url: str = ""
    media_root: Path | None = None
    session_cookie: str = "sessionid"
    csrf_cookie: str = "csrftoken"
    language_cookie: str = "django_language"
    queues: tuple[str, ...] = ()  # further queues that the Celery application declares
    result_backend: str = ""  # scheme of the Celery result backend ("redis", "rpc", "django-db")
    has_schedule: bool = False
    prefixes: tuple[Path, ...] = ()  # folders that the interpreter needs: base prefix, environment, packages
    runtime_version: str | None = None  # of slipstream, when the project has it installed itself
    asgi: str | None = None  # "package.module:name" of a project without a WSGI application

    @property
    def database(self) -> DatabaseFacts | None:
        return next((d for d in self.databases if d.alias == "default"), None)


@dataclass(frozen=True)
class State:
    """The state folder ``.slipstream/``: removable, ignored by git."""

    root: Path
    run: Path  # sockets and pid files; elsewhere when the path would be too long for a unix socket

    @property
    def rendered(self) -> Path:
        return self.root / "rendered"

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def logs(self) -> Path:
        return self.root / "logs"

    @property
    def lent(self) -> Path:
        return self.root / "lent"

    @property
    def static(self) -> Path:
        return self.root / "static"

    @property
    def overlay(self) -> Path:
        return self.rendered / "application" / "overlay.json"


@dataclass(frozen=True)
class Secrets:
    """Generated once per stack; ``repr`` never shows them."""

    cache_password: str = field(repr=False)
    broker_password: str = field(repr=False)
    database_password: str = field(repr=False)
    database_owner_password: str = field(repr=False)
    bypass_secret: str = field(repr=False)
    accelerator_secret: str = field(repr=False)


@dataclass(frozen=True)
class Stack:
    """Everything that rendering needs, resolved: file, project, hosts, addresses, secrets."""

    config: StackFile
    project: Project
    state: State
    secrets: Secrets
    hosts: tuple[Host, ...]
    endpoints: Mapping[str, Endpoint]
    environment: str = "local"

    def endpoint(self, name: str) -> Endpoint:
        return self.endpoints[name]

    def host_of(self, layer: str) -> Host:
        """The first host that carries ``layer``."""
        return next(host for host in self.hosts if layer in host.layers)

    def server_of(self, layer: str) -> str | None:
        """Name of the product for ``layer``; None when the stack has no such layer."""
        return server_of(self.config, self.project, layer)

    @property
    def has_workers(self) -> bool:
        return self.project.celery is not None


def server_of(config: StackFile, project: Project, layer: str) -> str | None:
    """The product for ``layer``: what is written wins over what is derived from the project."""
    if layer == "application":
        return "django"
    if layer in ("workers", "broker") and project.celery is None:
        return None
    if layer == "database":
        # A project keeps the database that its settings name; the stack's own is used when asked for.
        return config.database.server or "external"
    server: str = getattr(config, layer).server
    return server


def product_named(layer: str, server: str) -> Product:
    """The package ``layers.<layer>.<server>``."""
    module: Any = importlib.import_module(f"slipstream_ops.layers.{layer}.{server}")
    return module  # type: ignore[no-any-return]


def products_on(stack: Stack, host: Host) -> tuple[tuple[str, Product], ...]:
    """(layer, product) for what runs on ``host``, in start order."""
    found = []
    for layer in START_ORDER:
        server = stack.server_of(layer)
        if layer in host.layers and server:
            found.append((layer, product_named(layer, server)))
    return tuple(found)


def services_on(stack: Stack, host: Host) -> tuple[Service, ...]:
    """All supervised services of ``host`` in start order."""
    return tuple(service for _, product in products_on(stack, host) for service in product.services(stack, host))
