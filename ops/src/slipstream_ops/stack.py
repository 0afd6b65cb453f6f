"""The stack file ``slipstream.toml``, read once into a frozen ``StackFile``; refused with file, line and nearest valid key."""

from __future__ import annotations

import re
import tomllib
import types
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from slipstream_ops.complaint import Complaint, nearest

FILE_NAME = "slipstream.toml"
EXAMPLE = Path(__file__).with_name("stack.example.toml")

_SIZE = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?\s*$", re.IGNORECASE)
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}


def parse_size(value: object) -> int:
    """Bytes from ``"12 GB"``, ``"512M"`` or a plain number of bytes (1 GB = 1024 MB, as the servers count)."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    match = _SIZE.match(value) if isinstance(value, str) else None
    if not match:
        raise ValueError('write a size such as "512 MB" or "2 GB"')
    return int(float(match[1]) * _UNITS[match[2].upper()])


def _check_network(value: str) -> str:
    ip_network(value, strict=False)
    return value


def _check_host_name(value: str) -> str:
    if not re.fullmatch(r"(?=.{1,253}$)(\*\.)?([a-zA-Z0-9_]([a-zA-Z0-9_-]{0,61}[a-zA-Z0-9])?\.?)+", value):
        raise ValueError("write a host name such as www.example.org, without scheme, port or path")
    return value.lower()


def _check_path(value: str) -> str:
    if not re.fullmatch(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*", value):
        raise ValueError('write a path that begins with "/", percent-encoded, without a query')
    return value


def _check_target(value: str) -> str:
    if not re.fullmatch(r"(/|https?://)[A-Za-z0-9._~!$&'()*+,;=:@%/?#-]*", value):
        raise ValueError('write a path that begins with "/" or a whole http(s) URL, percent-encoded')
    return value


def _check_pattern(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.-]+\*?", value):
        raise ValueError("write a name of letters, digits, dots and dashes; a * may end it")
    return value


def _check_reference(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*", value):
        raise ValueError('write "package.module:name"')
    return value


Size = Annotated[int, BeforeValidator(parse_size), Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]
Network = Annotated[str, AfterValidator(_check_network)]
HostName = Annotated[str, AfterValidator(_check_host_name)]
UrlPath = Annotated[str, AfterValidator(_check_path)]
Target = Annotated[str, AfterValidator(_check_target)]
NamePattern = Annotated[str, AfterValidator(_check_pattern)]
Reference = Annotated[str, AfterValidator(_check_reference)]
Count = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


class Site(Section):
    names: tuple[HostName, ...] = Field(default=("localhost",), min_length=1)
    redirect_to_canonical: bool = False
    mode: Literal["observe", "respect", "fresh"] = "respect"
    missing: tuple[UrlPath, ...] = ()
    redirects: dict[UrlPath, Target] = Field(default_factory=dict)
    ignored_cookies: tuple[NamePattern, ...] = (
        "_ga", "_ga_*", "_gid", "_gat*", "_fbp", "_gcl_*", "_hj*", "_pk_*", "__utm*", "cookieconsent*",
    )  # fmt: skip
    ignored_parameters: tuple[NamePattern, ...] = ("utm_*", "gclid", "fbclid", "msclkid", "mc_cid", "mc_eid", "_ga")

    @property
    def plain_name(self) -> str:
        """The first name that a browser can be sent to: "*.example.org" stands for many."""
        return next((name for name in self.names if not name.startswith("*")), "localhost")


class ProjectSection(Section):
    python: str | None = None
    settings: str | None = None
    wsgi: Reference | None = None
    celery: Reference | None = None
    debug: bool = False
    environment: dict[str, str] = Field(default_factory=dict)


class HostSection(Section):
    memory: Size | None = None
    cores: Count | None = None


class Edge(Section):
    server: str = "haproxy"
    address: str = "127.0.0.1"
    port: Port | None = None
    http_port: Port | None = None
    max_connections: Annotated[int, Field(ge=10)] = 4000
    certificate: str = ""
    trusted_proxies: tuple[Network, ...] = ()


class Accelerator(Section):
    server: str = "varnish"
    memory: Size | None = None
    grace_seconds: Annotated[int, Field(ge=0)] = 21600
    purgers: tuple[Network, ...] = ("127.0.0.1",)


class AppServer(Section):
    server: str = "uwsgi"
    instances: Annotated[int, Field(ge=1, le=32)] = 2
    processes: Count | None = None
    threads: Count = 1
    request_timeout_seconds: Annotated[int, Field(ge=2)] = 30


class Cache(Section):
    server: str = "redis"
    memory: Size | None = None
    urls: tuple[str, ...] = ()


OWN_DATABASE = "postgresql"
"""The stack's own database where one is asked for without a name."""


class Database(Section):
    server: str | None = None
    memory: Size | None = None
    slow_query_milliseconds: Annotated[int, Field(ge=0)] = 50
    max_connections: Annotated[int, Field(ge=10, le=400)] | None = None  # under 400: blueprint B1


class Broker(Section):
    server: str = "redis"
    url: str = ""


class Workers(Section):
    server: str = "celery"
    high: Count = 1
    default: Count = 1
    low: Count = 1


class Mail(Section):
    server: str = "sink"


class StackFile(Section):
    """What the stack file says, defaults filled in; None where the value is derived from the project or the host."""

    site: Site = Site()
    project: ProjectSection = ProjectSection()
    host: HostSection = HostSection()
    edge: Edge = Edge()
    accelerator: Accelerator = Accelerator()
    appserver: AppServer = AppServer()
    cache: Cache = Cache()
    database: Database = Database()
    broker: Broker = Broker()
    workers: Workers = Workers()
    mail: Mail = Mail()


def read_stack_file(path: Path | None) -> StackFile:
    """The stack file at ``path``, or the defaults when there is none. Raises ``Complaint`` naming file, line and key."""
    if path is None:
        return StackFile()
    doing = f"reading the stack file {path}"
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise Complaint(doing, f"it cannot be read ({error.strerror})", "Check the path and its permissions") from None
    except UnicodeDecodeError:
        raise Complaint(doing, "it is not UTF-8 text", "Save it as UTF-8") from None
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Complaint(doing, f"it is not valid TOML: {error}", "Correct that line") from None
    try:
        stack_file = StackFile.model_validate(data)
    except ValidationError as error:
        raise _complain_of(error, path, text) from None
    _refuse_contradictions(stack_file, path, text)
    return stack_file


def available_servers(layer: str) -> tuple[str, ...]:
    """Names that ``server =`` accepts for a layer: its product packages."""
    folder = Path(__file__).parent / "layers" / layer
    return tuple(sorted(p.name for p in folder.iterdir() if (p / "__init__.py").exists())) if folder.is_dir() else ()


def _refuse_contradictions(stack_file: StackFile, path: Path, text: str) -> None:
    def refuse(where: tuple[str, ...], found: str, next_step: str) -> None:
        raise Complaint(f"reading the stack file {path}, line {find_line(text, where)}", found, next_step)

    for layer, section in stack_file:
        server = getattr(section, "server", None)
        known = available_servers(layer)
        if server is not None and server not in known:
            guess = nearest(server, known)
            refuse(
                (layer, "server"),
                f'[{layer}] server = "{server}" is not a product that slipstream knows',
                f'Did you mean "{guess}"?' if guess else "Choose one of: " + ", ".join(known),
            )
    if stack_file.cache.server == "external" and not stack_file.cache.urls:
        refuse(("cache", "server"), "an external cache has no address", 'Add urls = ["redis://host:6379/0"] to [cache]')
    if stack_file.cache.server != "external" and stack_file.cache.urls:
        refuse(
            ("cache", "urls"),
            "[cache] urls are given, but the server is the stack's own",
            'Set server = "external" or remove urls',
        )
    if stack_file.broker.server == "external" and not stack_file.broker.url:
        refuse(("broker", "server"), "an external broker has no address", 'Add url = "redis://host:6379/0" to [broker]')
    if stack_file.broker.server != "external" and stack_file.broker.url:
        refuse(
            ("broker", "url"), "[broker] url is given, but the server is the stack's own", 'Set server = "external" or remove url'
        )
    edge = stack_file.edge
    if edge.port is not None and edge.port == edge.http_port:
        refuse(("edge", "http_port"), f"[edge] port and http_port are both {edge.port}", "Give them different ports")


def _complain_of(error: ValidationError, path: Path, text: str) -> Complaint:
    first = error.errors()[0]
    where = tuple(str(part) for part in first["loc"])
    keys = tuple(part for part in where if not part.isdigit())
    doing = f"reading the stack file {path}, line {find_line(text, keys)}"
    name = ".".join(keys)
    if first["type"] == "extra_forbidden":
        known = _fields_at(keys[:-1])
        guess = nearest(keys[-1], known)
        kind = "section" if len(keys) == 1 and isinstance(first["input"], dict) else "key"
        hint = f'Did you mean "{guess}"?' if guess else f"Known here: {', '.join(known)}"
        return Complaint(doing, f'"{name}" is not a {kind} of the stack file', hint)
    message = str(first["msg"]).removeprefix("Value error, ")
    if first["type"] == "tuple_type":
        message = f"write a list: [{as_toml_value(first['input'])}]"
    value = first["input"]
    shown = f'"{value}"' if isinstance(value, str) else repr(value)
    return Complaint(
        doing,
        f"{name} = {shown} cannot be used: {message[0].lower()}{message[1:]}",
        "Correct the value; see `slipstream init --all` for every key",
    )


def _fields_at(keys: tuple[str, ...]) -> tuple[str, ...]:
    model: type[BaseModel] = StackFile
    for key in keys:
        annotation = model.model_fields[key].annotation if key in model.model_fields else None
        if get_origin(annotation) in (Union, types.UnionType):
            annotation = next((a for a in get_args(annotation) if a is not type(None)), None)
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return ()
        model = annotation
    return tuple(model.model_fields)


def find_line(text: str, keys: tuple[str, ...]) -> int:
    """Line (from 1) where ``keys`` is written; the section's header when the key itself is not, 1 when neither is."""
    found = 1
    table: tuple[str, ...] = ()
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if header := re.match(r"^\[\[?\s*([^\]]+?)\s*\]\]?", stripped):
            table = tuple(part.strip().strip("\"'") for part in header[1].split("."))
            if table == keys[: len(table)]:
                found = number
            if table == keys:
                return number
        elif key := re.match(r"^([A-Za-z0-9_.-]+|\"[^\"]*\"|'[^']*')\s*=", stripped):
            written = key[1]
            parts = (written.strip("\"'"),) if written[0] in "\"'" else tuple(written.split("."))
            if table + parts == keys[: len(table) + len(parts)]:
                return number
    return found


def as_toml_value(value: Any) -> str:
    """``value`` as TOML text, for the short file that ``init`` writes."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(as_toml_value(item) for item in value) + "]"
    text = str(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
