"""Copies the data of an SQLite project into the stack's PostgreSQL, all or nothing; the original stays as it was.

``python -m slipstream.launch slipstream.database.copying --from sqlite:/path/db.sqlite3 --to default`` with the overlay's
settings in force. The tables are made by the project's own migrations, which this program runs itself, so that it knows that
the target held nothing before. Progress goes to standard output; the answer (``CopyAnswer`` with exit code 0, ``CopyProblem``
with 1) as JSON to the file named in ``SLIPSTREAM_ANSWER``. Asked again after a success, it changes nothing and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from slipstream import wire
from slipstream.database.original import hash_file, open_original, quote_name
from slipstream.database.trouble import Trouble
from slipstream.wire import CopyAnswer, CopyProblem, LeftBehind

SOURCE = "slipstream_original"
"""Alias of the connection that knows how Django keeps values in SQLite."""


def copy(path: Path, target: str) -> CopyAnswer:
    """Bring everything in the SQLite file ``path`` into the database ``target``; ``Trouble`` when nothing was copied."""
    from django.core.management import call_command
    from django.db import connections, transaction

    from slipstream.database import target as target_side
    from slipstream.database.tables import copy_rows, tables_to_copy

    target_side.require_postgresql(target)
    with open_original(path) as original:
        sha256 = hash_file(path)
        done = target_side.find_finished(target)
        if done is not None:
            tables, rows, copied_sha256 = done
            return CopyAnswer(
                copied=False,
                tables=tables,
                rows=rows,
                left_behind=[],
                original_sha256=sha256,
                original_has_changed=copied_sha256 != sha256,
            )
        target_side.claim(target, sha256)
        say("making the tables")
        call_command("migrate", database=target, interactive=False, verbosity=0, run_syncdb=True)
        target_side.note_what_migrate_made(target)
        target_side.require_same_migrations(original, target)
        _add_source_connection(path)
        chosen = tables_to_copy(original, SOURCE, target)
        original.refuse_dangling_references({table.name for table in chosen})

        counts = {table.name: original.count(table.name) for table in chosen}
        with transaction.atomic(using=target), connections[target].cursor() as cursor:
            # Nobody waits for this statement, and references between tables are looked at when all tables are full.
            cursor.execute("SET LOCAL statement_timeout = 0")
            cursor.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
            cursor.execute("SET CONSTRAINTS ALL DEFERRED")
            # Rows that migrations made (content types, permissions, a first site) give way to the original's, whose keys
            # the other rows refer to.
            for table in chosen:
                cursor.execute(f"DELETE FROM {quote_name(table.name)}")
            for number, table in enumerate(chosen, 1):
                progress = Progress(f"{number}/{len(chosen)} {table.name}", counts[table.name])
                for copied in copy_rows(original, table, target):
                    progress.tell(copied)
                progress.finish()
            say("checking references and counts")
            target_side.check_references(cursor)
            target_side.reset_sequences(cursor, [table.model for table in chosen], target)
            target_side.require_same_counts(cursor, counts)
            cursor.execute(
                "UPDATE slipstream.copy SET finished = now(), tables = %s, rows = %s", [len(chosen), sum(counts.values())]
            )
        with connections[target].cursor() as cursor:
            cursor.execute("ANALYZE")  # the planner knows the new tables from the first request on
        others = [name for name in original.tables() if name not in counts and name != target_side.MIGRATIONS]
        return CopyAnswer(
            copied=True,
            tables=len(chosen),
            rows=sum(counts.values()),
            left_behind=[LeftBehind(table=name, rows=rows) for name in others if (rows := original.count(name))],
            original_sha256=sha256,
            original_has_changed=hash_file(path) != sha256,
        )


def say(line: str) -> None:
    print(line, flush=True)


class Progress:
    """Lines about one table: at its end, and every second before."""

    def __init__(self, name: str, rows: int) -> None:
        self._name, self._rows, self._told = name, rows, time.monotonic()

    def tell(self, copied: int) -> None:
        if time.monotonic() - self._told >= 1:
            self._told = time.monotonic()
            say(f"copying {self._name}: {copied:,} of {self._rows:,} rows")

    def finish(self) -> None:
        if self._rows:
            say(f"copied {self._name}: {self._rows:,} rows")


def _add_source_connection(path: Path) -> None:
    from django.db import connections

    described = {"ENGINE": "django.db.backends.sqlite3", "NAME": f"file:{path}?mode=ro", "OPTIONS": {"uri": True}}
    default = {"default": connections.settings["default"]}
    connections.settings[SOURCE] = connections.configure_settings({**default, SOURCE: described})[SOURCE]


def main(arguments: Iterable[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="slipstream.database.copying", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--from", dest="source", required=True, metavar="sqlite:PATH")
    parser.add_argument("--to", dest="target", default="default", metavar="ALIAS")
    options = parser.parse_args(None if arguments is None else list(arguments))
    problem: CopyProblem
    try:
        if not options.source.startswith("sqlite:"):
            raise Trouble(f"--from {options.source} is not understood", "Write sqlite: and the file's path")
        import django

        django.setup()
        answer = copy(Path(options.source.removeprefix("sqlite:")).resolve(), options.target)
        _write_answer(answer)
        _tell(answer)
        return 0
    except Trouble as trouble:
        problem = CopyProblem(message=str(trouble), details=trouble.details)
    except Exception as error:
        # The project's own code (a migration, its settings) or the server; the transaction has been rolled back.
        first = str(error).splitlines()[0] if str(error) else ""
        message = f"the copy stopped with {type(error).__name__}: {first}. Nothing was copied and the original is as it was."
        problem = CopyProblem(message=message, details=[])
    _write_answer(problem)
    print(problem["message"], *problem["details"], sep="\n  ", file=sys.stderr)
    return 1


def _write_answer(answer: CopyAnswer | CopyProblem) -> None:
    if path := os.environ.get(wire.ANSWER_VARIABLE):
        Path(path).write_text(json.dumps(answer), encoding="utf-8")


def _tell(answer: CopyAnswer) -> None:
    say(
        f"{answer['rows']:,} rows of {answer['tables']} tables "
        + ("are copied" if answer["copied"] else "had been copied before")
    )
    for left in answer["left_behind"]:
        say(f"not copied: table {left['table']} with {left['rows']:,} rows, which no model of the project describes")


if __name__ == "__main__":
    sys.exit(main())
