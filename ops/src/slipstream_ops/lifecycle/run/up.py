"""``up``: from a folder with a manage.py to a healthy site; a step that fails leaves nothing half running."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import fetch, is_root, write_file
from slipstream_ops.layers.contract import Action, File, HttpProbe
from slipstream_ops.lifecycle.build import authority, lending, rendering, requirements
from slipstream_ops.lifecycle.build import state as states
from slipstream_ops.lifecycle.build.assemble import Assembled, Wishes, assemble, locate, needed_programs
from slipstream_ops.lifecycle.run import access, acting, application, leftovers, starting
from slipstream_ops.placement import LAYERS, Host, Stack, State, product_named, products_on, services_on
from slipstream_ops.sizing import warnings_for
from slipstream_ops.supervision.supervisord import Supervisor

Say = Callable[[str], None]
"""Receives one line of progress at a time."""


def refuse_running(state: State) -> None:
    """Raise ``Complaint`` when this stack already runs."""
    pid = Supervisor(state).pid
    if pid is not None:
        raise Complaint(
            "starting the stack",
            f"it is already running (process manager: pid {pid})",
            "Use `slipstream status`, `slipstream reload` after a change, or `slipstream down` first",
        )


def bring_up(wishes: Wishes, say: Say) -> Assembled:
    """Start everything and return once a request through every layer is answered. Raises ``Complaint``; then nothing runs."""
    root, _ = locate(wishes)
    state = states.locate_state(root)
    refuse_running(state)
    state = states.open_state(root)
    starting.refuse_full_disk(state)
    with states.locked(state, "starting the stack"):
        refuse_running(state)
        ended = leftovers.end_leftovers(state)
        if ended:
            say(f"Ended what a crash had left running: {', '.join(ended)}.")
        say("Looking at the project")
        assembled = assemble(wishes)
        stack, host = assembled.stack, assembled.host
        for note in (*assembled.notes, *warnings_for([host])):
            say(note)
        requirements.refuse_missing(needed_programs(stack, host))
        acting.carry_out(preflights(stack, host), (), state, Supervisor(state))
        prepare_host(assembled, say)
        prepare_files(stack, host, say)
        supervisor = Supervisor(state)
        supervisor.launch()
        try:
            start_everything(stack, host, supervisor, wishes.copy_database, say)
        except BaseException:
            if supervisor.pid is None:
                raise Complaint(
                    "starting the stack",
                    "its process manager has ended meanwhile",
                    f"Somebody ran `slipstream down`, or it was killed: see {state.logs / 'supervisord.log'}; then start again",
                ) from None
            say("Stopping what was started")
            stop_stack(stack, host, supervisor)
            raise
        leftovers.write_down(state, supervisor)
    return assembled


def prepare_host(assembled: Assembled, say: Say) -> None:
    """The users that services drop to, and what the project's interpreter lacks."""
    if is_root():
        access.ensure_accounts()
    if lending.lend_packages(assembled.stack.state, assembled.interpreter, assembled.missing_packages):
        say(f"Lent to the project: {', '.join(assembled.missing_packages)}")


def preflights(stack: Stack, host: Host) -> tuple[Action, ...]:
    """What must answer before anything is started: services that others run for this stack."""
    found: list[Action] = []
    for _, product in products_on(stack, replace(host, layers=frozenset(LAYERS))):
        if preflight := getattr(product, "preflight", None):
            found += preflight(stack, host)
    return tuple(found)


def prepare_files(stack: Stack, host: Host, say: Say) -> None:
    """Grant access, make the certificate, render, have every product's checker agree, put in place."""
    access.grant_access(services_on(stack, host), stack.state)
    keep_certificate(stack)
    say("Checking every configuration")
    rendering.refuse_faults(rendering.check_all(stack, host))
    rendering.write_all(stack, host)


def write_application_files(stack: Stack, host: Host, account: str | None = application.ACCOUNT) -> None:
    """The overlay document comes first: the programs that prepare the rest read it, with the rights of ``account``."""
    for file in product_named("application", stack.server_of("application") or "").render(stack, host):
        write_file(replace(file, account=account))


def keep_certificate(stack: Stack) -> None:
    """The edge's certificate from the local authority, unless the stack file names one."""
    if stack.config.edge.certificate:
        return
    path = stack.state.rendered / "edge" / "certificate.pem"
    text = authority.certificate_for(stack.config.site.names, authority.authority_folder(), path)
    write_file(File(path, text, is_secret=True))


def start_everything(stack: Stack, host: Host, supervisor: Supervisor, copy_database: bool, say: Say) -> None:
    say("Starting " + ", ".join(s.name for s in services_on(stack, host) if s.layer in starting.TIERS[0]))
    starting.start_tier(stack, host, supervisor, starting.TIERS[0], lambda name: say(f"  {name} is healthy"))
    prepare_application(stack, host, copy_database, say)
    keep_error_pages(stack, host, say)
    for tier in starting.TIERS[1:]:
        starting.start_tier(stack, host, supervisor, tier, lambda name: say(f"  {name} is healthy"))
    say("Asking for the front page through every layer")
    if sentence := look_at_front_page(stack):
        say(sentence)


def keep_error_pages(stack: Stack, host: Host, say: Say) -> None:
    """The site's own error pages for the layers in front; rendered once its database answers, as their menus may need it."""
    for sentence in application.keep_error_pages(stack, host):
        say(sentence)
    rendering.write_all(stack, host)


def prepare_application(stack: Stack, host: Host, copy_database: bool, say: Say) -> None:
    """Migrate (only what slipstream made), copy when asked, collect static files: side by side where they do not meet."""
    with ThreadPoolExecutor(max_workers=2) as pool:
        static = pool.submit(application.collect_static, stack, host)
        if copy_database:
            application.copy_database(stack, host, say)  # it migrates by itself, to prove that the target was empty
        elif application.may_migrate(stack):
            say("Migrating the database, collecting static files")
            application.migrate(stack, host)
        else:
            say("Collecting static files")
        static.result()


def look_at_front_page(stack: Stack) -> str:
    """A sentence when the front page answers with 5xx (the project's own error), else nothing: 404 and 403 are answers."""
    status = fetch(front_page(stack)).status_code
    if status < 500:
        return ""
    return f"The front page answers {status}: that is the project's own error, see `slipstream logs app-1`."


def front_page(stack: Stack) -> HttpProbe:
    """GET / as a visitor of this machine would."""
    endpoint = stack.endpoint("edge.https")
    address = "127.0.0.1" if endpoint.address == "0.0.0.0" else endpoint.address
    return HttpProbe((address, endpoint.port), "/", stack.config.site.plain_name, tls=True, timeout_seconds=60)


def stop_stack(stack: Stack, host: Host, supervisor: Supervisor, say: Say = lambda line: None) -> None:
    """Stop every service in order, then the process manager."""
    starting.stop_all(services_on(stack, host), supervisor, lambda name: say(f"  {name} stopped"))
    supervisor.shut_down()
    (stack.state.run / "processes.json").unlink(missing_ok=True)
