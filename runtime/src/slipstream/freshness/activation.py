"""Switches freshness on in this process: hooks into Django, the query cache, triggers that migrations keep up."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models.signals import post_migrate

from slipstream import queries
from slipstream.freshness.orm import hooks
from slipstream.freshness.outbox.installation import install


def activate() -> None:
    """Called once the applications are loaded, where the settings name a store. ImproperlyConfigured names unknown models."""
    unknown = queries.find_unknown_models()
    if unknown:
        raise ImproperlyConfigured(
            f'SLIPSTREAM["FRESHNESS"]["CACHED_MODELS"] names {", ".join(unknown)}, which is no model of an installed app; '
            'write "app.Model", "app.*" or "*".'
        )
    hooks.install_hooks()
    hooks.answer_queries_with(queries.answer)
    post_migrate.connect(keep_triggers_up, dispatch_uid="slipstream.freshness")


def keep_triggers_up(app_config: Any, using: str, plan: Any = (), **kwargs: Any) -> None:
    """After a run of migrations, once: new tables get triggers, changed ones get theirs anew."""
    connection = connections[using]
    last = [config for config in apps.get_app_configs() if config.models_module is not None][-1]  # others get no signal
    if app_config is last and connection.vendor == "postgresql" and hooks.may_follow(connection):
        install(connection)
