"""A writing process that is killed at the step named by DIES."""

# ruff: noqa: E402  (Django is set up before its models are imported)

from __future__ import annotations

import os
import signal

import django

django.setup()

from newsstand.models import Article

from slipstream.freshness import commits
from slipstream.freshness.protocol.store import Store

moment, _, step = os.environ["DIES"].partition(" ")


def die_around(owner: object, name: str) -> None:
    original = getattr(owner, name)

    def call(*args: object, **kwargs: object) -> object:
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = original(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)
        return answer

    setattr(owner, name, call)


if step == "commit":
    send = commits.commit

    def commit(connection: object, send_commit: object) -> object:
        def send_and_die() -> None:
            send_commit()  # type: ignore[operator]
            os.kill(os.getpid(), signal.SIGKILL)

        return send(connection, send_and_die)

    commits.commit = commit
else:
    die_around(Store, step)
Article.objects.filter(pk=1).update(version=1)
