"""Installs, lists, checks and removes the triggers that report every write, also those of other programs."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DEFAULT_DB_ALIAS, connections
from django.db.utils import Error

from slipstream.freshness.configuration import freshness_settings
from slipstream.freshness.outbox import installation


class Command(BaseCommand):  # type: ignore[misc]
    help = "Triggers by which slipstream sees every write to PostgreSQL. check ends with 1 when a table is not tracked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("action", choices=("install", "list", "check", "remove"))
        parser.add_argument("--database", default=DEFAULT_DB_ALIAS)

    def handle(self, *args: Any, action: str, database: str, **options: Any) -> None:
        if database not in connections:
            raise CommandError(f"There is no database {database!r}; there are {', '.join(connections)}.")
        connection = connections[database]
        if connection.vendor != "postgresql":
            raise CommandError(
                f"Database {database!r} is {connection.display_name}; triggers are installed on PostgreSQL. "
                "Elsewhere nothing that was read from it is kept."
            )
        try:
            getattr(self, f"{action}_all")(connection)
        except Error as error:
            raise CommandError(f"{action} on database {database!r}: {str(error).strip().splitlines()[0]}") from error

    def install_all(self, connection: Any) -> None:
        done = installation.install(connection)
        for name in done.changed:
            self.stdout.write(f"changed  {name}")
        self.stdout.write(f"{len(done.changed)} changed, {len(done.unchanged)} as they should be")
        if done.failed:
            failures = "\n".join(f"  {name}: {reason}" for name, reason in done.failed)
            raise CommandError(f"{len(done.failed)} tables could not be changed; what reads them is not kept:\n{failures}")

    def list_all(self, connection: Any) -> None:
        for relation in self._relations(connection):
            if relation.table is None:
                self.stdout.write(f"untracked  {relation.schema}.{relation.name}  ({relation.why_untracked})")
            else:
                conditions = ", ".join(column.name for column in relation.table.conditions) or "none"
                key = ", ".join(column.name for column in relation.table.key) or "none"
                self.stdout.write(f"tracked    {relation.schema}.{relation.name}  key: {key}; conditions: {conditions}")

    def check_all(self, connection: Any) -> None:
        chosen = set(freshness_settings().untracked_tables)
        missing = [one for one in self._relations(connection) if one.table is None and one.name not in chosen]
        for relation in missing:
            self.stdout.write(f"{relation.schema}.{relation.name} is {relation.why_untracked}")
        if missing:
            raise CommandError(f"{len(missing)} tables or views are not tracked; what reads them is not kept.")
        self.stdout.write("every table is tracked")

    def remove_all(self, connection: Any) -> None:
        names = installation.remove(connection)
        self.stdout.write(
            f"removed the triggers of {len(names)} tables; the outbox stays, empty: "
            "DROP SCHEMA slipstream once no process of the site runs"
        )

    def _relations(self, connection: Any) -> Any:
        found = installation.list_relations(connection).relations
        unique = {id(one): one for one in found.values() if one.schema != "slipstream"}.values()
        return sorted(unique, key=lambda one: (one.table is None, one.schema, one.name))
