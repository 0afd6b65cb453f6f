"""Puts a resolved ``Stack`` together: file, project, host, addresses, secrets; every later step works on this one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import is_root
from slipstream_ops.layers.contract import EndpointNeed, Lent, Requirement
from slipstream_ops.lifecycle.build import discovery, hosts, interpreter, lending, ports, requirements, state, survey
from slipstream_ops.lifecycle.run.application import copied_marker
from slipstream_ops.placement import LAYERS, Host, Project, Stack, State, products_on
from slipstream_ops.stack import FILE_NAME, OWN_DATABASE, Edge, StackFile, read_stack_file


@dataclass(frozen=True)
class Wishes:
    """What the command line says; None where nothing was said."""

    project: Path | None = None
    config: Path | None = None
    python: str | None = None
    port: int | None = None
    copy_database: bool = False
    ask: discovery.Ask | None = None


@dataclass(frozen=True)
class Assembled:
    """The stack, sentences worth telling about how it came to be, and what the project lacks of the lent packages."""

    stack: Stack
    notes: tuple[str, ...]
    missing_packages: tuple[str, ...]
    interpreter: interpreter.Interpreter

    @property
    def host(self) -> Host:
        return self.stack.hosts[0]


def locate(wishes: Wishes) -> tuple[Path, StackFile]:
    """The project's folder and its stack file, command line applied."""
    root = discovery.find_project_root(wishes.project or Path.cwd())
    discovery.refuse_awkward_path(root)
    remembered = state.remembered_wish(state.locate_state(root), "config")
    told = wishes.config.absolute() if wishes.config else Path(remembered) if remembered else None
    written = told or root / FILE_NAME
    config = read_stack_file(written if told or written.exists() else None)
    if wishes.port is not None:
        edge = Edge.model_validate({**config.edge.model_dump(), "port": wishes.port})
        config = config.model_copy(update={"edge": edge})
    return root, config


def assemble(wishes: Wishes, *, is_running: bool = False) -> Assembled:
    """Resolve everything. Writes only into the state folder (ports, secrets, the lent runtime). Raises ``Complaint``."""
    root, config = locate(wishes)
    remembered = state.remembered_wish(state.locate_state(root), "python")
    python = discovery.find_interpreter(root, wishes.python or config.project.python or remembered)
    settings = discovery.find_settings(root, config.project.settings, wishes.ask)
    host = hosts.this_machine(config.host)
    opened = state.open_state(root)
    config = use_own_database(config, opened, wishes.copy_database)
    lent = lent_by_all_products()
    found = interpreter.question_interpreter(python, {module for item in lent for module in item.modules})
    lending.lend_runtime(opened, found)
    project = survey.survey_project(root, found, settings, config, opened)
    refuse_empty_site(project, config, opened, wishes.copy_database)
    secrets = state.keep_secrets(opened)
    draft = Stack(config, project, opened, secrets, (host,), {})
    host = replace(host, layers=frozenset(layer for layer in LAYERS if draft.server_of(layer) and has_services(draft, layer)))
    draft = replace(draft, hosts=(host,))
    assigned = ports.assign(_needs(draft, host), host, config.edge.address, opened, is_running)
    stack = replace(draft, endpoints=assigned.endpoints)
    wanted = tuple(item for _, product in products_on(stack, host) for item in getattr(product, "LENDS", ()))
    for name, wish in (("python", wishes.python), ("config", wishes.config)):
        if wish:
            state.remember_wish(opened, name, str(Path(wish).expanduser().absolute()))
    return Assembled(stack, assigned.notes + notes_about(project, config), lending.missing_packages(found, wanted), found)


def use_own_database(config: StackFile, opened: State, copy_now: bool) -> StackFile:
    """The stack file with the stack's own database, when a copy into it was made earlier or is asked for now."""
    if config.database.server is None and (copy_now or copied_marker(opened).exists()):
        return config.model_copy(update={"database": config.database.model_copy(update={"server": OWN_DATABASE})})
    return config


def refuse_empty_site(project: Project, config: StackFile, opened: State, copy_now: bool) -> None:
    """A project whose file database holds data is never put before an empty one. Raises ``Complaint``."""
    database = project.database
    is_own = config.database.server not in (None, "external")
    holds_data = database is not None and database.vendor == "sqlite" and bool(database.has_tables)
    if copy_now and (not is_own or not holds_data):
        what = (
            "the stack file keeps the project's own database"
            if not is_own
            else "the project has no SQLite database with tables in it"
        )
        raise Complaint("copying the project's database into the stack's", what, "Start without --copy-database")
    if copy_now and copied_marker(opened).exists():
        raise Complaint(
            "copying the project's database into the stack's",
            f"that was done before ({copied_marker(opened).read_text().strip()})",
            "Start without --copy-database; to begin anew, `slipstream down --destroy` removes the stack's database",
        )
    if is_own and holds_data and not copy_now and not copied_marker(opened).exists() and database is not None:
        raise Complaint(
            "choosing the database",
            f"the stack file asks for the stack's own, and the project's data is in {database.name}",
            "Run `slipstream up --copy-database` once (the original stays as it is), or remove server from [database]",
        )


def lent_by_all_products() -> Sequence[Lent]:
    """What any product may lend: asked about in one go, before it is known which of them the project needs."""
    from slipstream_ops.placement import product_named
    from slipstream_ops.stack import available_servers

    return [
        item
        for layer in LAYERS
        for server in available_servers(layer)
        for item in getattr(product_named(layer, server), "LENDS", ())
    ]


def has_services(stack: Stack, layer: str) -> bool:
    """An external layer lives elsewhere: it takes no share of this host."""
    return layer == "application" or stack.server_of(layer) not in (None, "external")


def _needs(stack: Stack, host: Host) -> list[EndpointNeed]:
    return [need for _, product in products_on(stack, host) for need in product.endpoints(stack.config, host)]


def needed_programs(stack: Stack, host: Host) -> tuple[Requirement, ...]:
    found = tuple(r for _, product in products_on(stack, host) for r in product.REQUIREMENTS)
    return (*found, requirements.ACCESS_LISTS) if is_root() else found


def notes_about(project: Project, config: StackFile) -> tuple[str, ...]:
    """Sentences that a user should read once: what is not there yet, what becomes of the project's own database."""
    database = project.database
    notes = []
    if config.site.mode == "fresh":
        notes.append('mode = "fresh" is not built yet: pages are shared as with "respect".')
    if database is None:
        notes.append("The project names no database; none is run for it.")
    elif config.database.server in (None, "external") and database.vendor == "sqlite":
        notes.append(
            f"The project keeps its SQLite database {database.name}: fine for trying things out, but writes wait for each other "
            "and a second host could not share it. `slipstream up --copy-database` copies it into the stack's own."
        )
    elif config.database.server in (None, "external"):
        where = f" on {database.host}" if database.host else ""
        notes.append(
            f"The project keeps its own database {database.name}{where} ({database.vendor}); slipstream does not migrate it. "
            "Run `slipstream manage migrate` yourself when you want to."
        )
    return tuple(notes)
