"""A Redis server as one service of the stack: what the cache and the broker have in common."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from slipstream_ops.layers.cache.redis.resp import encode
from slipstream_ops.layers.contract import Command, Exchange, ExchangeProbe, File, Requirement, Service, Sized, Wait
from slipstream_ops.layers.templates import fill
from slipstream_ops.placement import Endpoint, Host, Stack

REQUIREMENTS = (Requirement("redis-server", "redis-server"),)
ADMINISTRATOR = "slipstream_admin"
MAX_CLIENTS = 1000
SET_AT_START = frozenset({"io-threads"})
DESCRIPTORS_BESIDE_CLIENTS = 96  # Redis keeps 32 for itself; the rest is room for the files of a rewrite


@dataclass(frozen=True)
class RedisServer:
    """One server: ``name`` is its service, endpoint, account and folder; ``own`` the text of its own part of redis.conf."""

    stack: Stack
    name: str
    password: str
    sizes: tuple[Sized, ...]
    own: str

    @property
    def endpoint(self) -> Endpoint:
        return self.stack.endpoint(self.name)

    @property
    def folder(self) -> Path:
        return self.stack.state.rendered / self.name

    @property
    def data(self) -> Path:
        return self.stack.state.data / self.name

    @property
    def address(self) -> Path | tuple[str, int]:
        """Where commands of this host reach it."""
        return self.endpoint.socket or (self.endpoint.address, self.endpoint.port)

    @property
    def administrator_password(self) -> str:
        """Known to the tool alone: made from a secret that no process of the project is ever given."""
        secret = self.stack.secrets.database_owner_password
        return hmac.new(secret.encode(), f"{self.name} {ADMINISTRATOR}".encode(), hashlib.sha256).hexdigest()

    def files(self) -> tuple[File, ...]:
        configuration = fill(
            __package__ or "",
            "server.conf.j2",
            server=self,
            own=self.own,
            sizes=self.sizes,
            users=self.folder / "users.acl",
            quote=_quote,
        )
        users = fill(
            __package__ or "",
            "users.acl.j2",
            administrator=ADMINISTRATOR,
            administrator_hash=hashlib.sha256(self.administrator_password.encode()).hexdigest(),
            application_hash=hashlib.sha256(self.password.encode()).hexdigest(),
        )
        return (
            File(self.folder / "redis.conf", configuration),
            File(self.folder / "users.acl", users, account=self.name, is_secret=True),
        )

    def trial(self) -> Command:
        """A start of the server with this configuration in a folder of its own: Redis has no checker, and only a start
        reads every directive and the file of users."""
        script = fill(__package__ or "", "trial.sh")
        return Command(
            ("/bin/sh", "-c", script, "trial", "redis-server", str(self.folder / "redis.conf")),
            why=f"checking the {self.name}'s configuration",
            account=self.name,
            timeout_seconds=30,
        )

    def service(self, stop_timeout_seconds: int = 10) -> Service:
        socket = self.endpoint.socket
        return Service(
            name=self.name,
            layer=self.name,
            command=("redis-server", str(self.folder / "redis.conf")),
            account=self.name,
            # PING is refused while a file is being loaded, so that "healthy" means that the data is there.
            probe=ExchangeProbe(self.exchange(("PING",)), b"+PONG"),
            folders=(self.data, *((socket.parent,) if socket else ())),
            stop_timeout_seconds=stop_timeout_seconds,
            open_files=MAX_CLIENTS + DESCRIPTORS_BESIDE_CLIENTS,
            listens=(self.name,),
        )

    def exchange(self, *commands: tuple[str, ...]) -> Exchange:
        """``commands`` as the administrator; QUIT makes the server end the answer."""
        return Exchange(
            self.address, encode(("AUTH", ADMINISTRATOR, self.administrator_password), *commands, ("QUIT",)), timeout_seconds=2.0
        )

    def reload(self) -> tuple[Wait, ...]:
        """The sizes are set in the running server, in one command that Redis applies whole or not at all: a restart would
        empty a cache. Everything else in redis.conf changes with the next start."""
        words = [word for sized in self.sizes if sized.name not in SET_AT_START for word in (sized.name, str(sized.value))]
        return (
            Wait(
                ExchangeProbe(self.exchange(("CONFIG", "SET", *words)), b"+OK\r\n+OK\r\n+OK\r\n"),  # AUTH, CONFIG, QUIT
                why=f"reloading the {self.name}",
                timeout_seconds=5,
            ),
        )


def _quote(value: object) -> str:
    """A word of redis.conf that may contain spaces."""
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


def is_local_to(host: Host, layer: str, endpoint: Endpoint) -> bool:
    """Processes of ``host`` can reach the layer by its unix socket."""
    return layer in host.layers and endpoint.socket is not None
