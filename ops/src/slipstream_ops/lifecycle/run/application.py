"""What the application itself has to do before it is served: its error pages, its tables, its static files."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from slipstream.wire import ANSWER_VARIABLE, COPYING_MODULE, ERROR_PAGES_MODULE, LAUNCH_MODULE
from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import Result, make_folder, run, user_of, write_file
from slipstream_ops.layers.contract import Command, File
from slipstream_ops.placement import Host, Stack, State, product_named

ACCOUNT = "app"
MIGRATION_SECONDS = 3600.0
STATIC_SECONDS = 600.0
APPLYING = "Running migrations:"
"""What Django prints before the first migration."""


def program(stack: Stack, host: Host, module: str, arguments: Sequence[str], why: str, timeout_seconds: float = 120.0) -> Command:
    """A program in the project's interpreter, with the stack's settings in force."""
    product: Any = product_named("application", stack.server_of("application") or "")
    environment: Mapping[str, str] = {**product.environment(stack, host), **unhurried(stack)}
    return Command(
        (str(stack.project.python), "-m", LAUNCH_MODULE, module, *arguments),
        why,
        environment=environment,
        directory=stack.project.root,
        account=ACCOUNT,
        timeout_seconds=timeout_seconds,
    )


def unhurried(stack: Stack) -> Mapping[str, str]:
    """Variables that lift the database's limits on a request's statements: nobody waits for a page here."""
    product: Any = product_named("database", stack.server_of("database") or "external")
    return getattr(product, "UNHURRIED", {})


def manage(stack: Stack, host: Host, arguments: Sequence[str], why: str, timeout_seconds: float = 120.0) -> Command:
    """A management command inside the stack's environment."""
    return program(stack, host, "django", arguments, why, timeout_seconds)


def ask_runtime(command: Command) -> tuple[Result, Any]:
    """Run a program of the runtime that writes a JSON answer to a file; the answer is None when there is none."""
    with tempfile.TemporaryDirectory(prefix="slipstream-answer-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        answer = folder / "answer" / "answer.json"
        make_folder(answer.parent, command.account if user_of(command.account) else None, 0o700)
        asked = Command(
            command.argv,
            command.why,
            {**command.environment, ANSWER_VARIABLE: str(answer)},
            command.directory,
            command.account,
            command.timeout_seconds,
            command.stdin,
        )
        result = run(asked)
        try:
            return result, json.loads(answer.read_text())
        except (OSError, ValueError):
            return result, None


def keep_error_pages(stack: Stack, host: Host) -> list[str]:
    """Write the site's own error pages for the layers in front of the application; a sentence for each that could not be made."""
    folder = stack.state.rendered / "errors"
    make_folder(folder)
    result, answer = ask_runtime(program(stack, host, ERROR_PAGES_MODULE, (), "rendering the site's error pages"))
    if not isinstance(answer, dict):
        return [f"The site's error pages could not be rendered ({last_line(result)}); plain ones are shown instead."]
    pages = answer.get("pages", answer)
    for status, html in pages.items():
        path = folder / f"{status}.html"
        if html:
            write_file(File(path, html))
        else:
            path.unlink(missing_ok=True)
    reasons = answer.get("reasons", {})
    return [
        f"The site's {status} page could not be rendered ({reason}); a plain one is shown instead."
        for status, reason in reasons.items()
    ]


def may_migrate(stack: Stack) -> bool:
    """Only databases that slipstream made are migrated unasked: the stack's own, or an SQLite file that is not there yet."""
    if stack.server_of("database") != "external":
        return True
    database = stack.project.database
    if database is None or database.vendor != "sqlite":
        return False
    return created_here(stack).exists() or not database.has_tables


def copied_marker(state: State) -> Path:
    """Exists once the project's file database was copied into the stack's own, which is used from then on."""
    return state.root / "database-copied"


def created_here(stack: Stack) -> Path:
    """Marks that the project's own file database was made by slipstream."""
    return stack.state.root / "database-made-here"


def migrate(stack: Stack, host: Host) -> None:
    """Bring the schema up to date. Raises ``Complaint`` with Django's own message when a migration fails."""
    if stack.server_of("database") == "external":
        created_here(stack).touch()
    result = run(manage(stack, host, ("migrate", "--no-input"), "migrating the database", MIGRATION_SECONDS))
    if not result.succeeded:
        is_applying = APPLYING in result.output  # before that it is the project's own checks, URLs or models that failed
        failed = "a migration failed" if is_applying else "`manage.py migrate` did not get as far as the first migration"
        raise Complaint(
            "migrating the database",
            f"{failed}: {last_line(result)}",
            "What ran before goes on as it was; mend it and try again",
            result.transcript[-4000:],
        )


def copy_database(stack: Stack, host: Host, say: Callable[[str], None]) -> None:
    """Copy the project's file database into the stack's own, all or nothing; the original is only read."""
    database = stack.project.database
    if database is None:
        return
    say(f"Copying {database.name} into the stack's database")
    arguments = ("--from", f"sqlite:{database.name}", "--to", database.alias)
    command = program(stack, host, COPYING_MODULE, arguments, "copying the project's database", MIGRATION_SECONDS)
    result, answer = ask_runtime(command)
    if not result.succeeded:
        problem = answer if isinstance(answer, dict) else {}
        found = problem.get("message") or last_line(result)
        detail = "\n".join(problem.get("details", ())) or result.transcript[-4000:]
        raise Complaint("copying the project's database", found, "Nothing was changed in the original", detail)
    copied_marker(stack.state).write_text(f"{database.name} on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n")


def collect_static(stack: Stack, host: Host) -> None:
    """Gather static files where the app server's static map finds them."""
    if not stack.project.has_staticfiles:
        return
    make_folder(stack.state.static, ACCOUNT)
    result = run(
        manage(stack, host, ("collectstatic", "--no-input", "--verbosity", "0"), "collecting static files", STATIC_SECONDS)
    )
    if not result.succeeded:
        raise Complaint(
            "collecting static files", last_line(result), "Correct the project's static files", result.transcript[-4000:]
        )


def last_line(result: Result) -> str:
    lines = [line for line in result.transcript.splitlines() if line.strip()]
    return lines[-1].strip() if lines else f"exit code {result.exit_code}"
