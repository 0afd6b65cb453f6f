"""Random operations against an oracle: whatever the cache answers is what the database says, whoever writes however slowly.

One thread plays every part step by step, so a seed replays: `SEED=7 OPERATIONS=100000 pytest ...`. Fills are held back and
released later, writers stop between their steps, the store is flushed and loses single keys, other programs write.
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.db.models import Count, F, Sum

from slipstream import queries
from slipstream.freshness import commits, keeper
from slipstream.freshness.outbox.reading import READ_OWN, NotedTransaction, gather
from slipstream.freshness.protocol.store import Store as ProtocolStore

OPERATIONS = int(os.environ.get("OPERATIONS", "6000"))
SEED = int(os.environ.get("SEED", "0")) or random.SystemRandom().randrange(1, 10**9)


class SlowWriter:
    """A Django process that may stop at any step of its write, over a connection of its own."""

    def __init__(self, server: Any, draw: random.Random) -> None:
        self.connection = server.connect()
        self.draw = draw
        self.step = "idle"
        self.noted: NotedTransaction | None = None

    def advance(self) -> str:
        if self.step == "idle":
            self.connection.execute("BEGIN")
            self.connection.execute("SET LOCAL lock_timeout = '10ms'")
            try:
                self.connection.execute(random_statement(self.draw))
                rows = self.connection.execute(READ_OWN).fetchall()
            except psycopg.errors.Error:
                self.connection.execute("ROLLBACK")
                return "blocked"
            if not rows:
                self.connection.execute("ROLLBACK")
                return "nothing"
            self.noted = gather("default", rows)[0]
            self.step = "written"
        elif self.step == "written":
            commits.pend(self.noted)  # type: ignore[arg-type]
            self.step = "pended"
        elif self.step == "pended":
            self.connection.execute("COMMIT" if self.draw.random() < 0.9 else "ROLLBACK")
            self.step = "committed"
        else:
            if self.draw.random() < 0.8:
                commits.settle(self.noted)  # type: ignore[arg-type]
            self.step = "idle"  # else: killed; the daemon will find it
        return self.step

    @property
    def holds_locks(self) -> bool:
        return self.step in ("written", "pended")


def random_statement(draw: random.Random) -> str:
    number, other = draw.randint(1, 5), draw.randint(1, 3)
    return draw.choice(
        [
            f"UPDATE newsstand_article SET version = version + 1 WHERE id = {number}",
            f"UPDATE newsstand_article SET section_id = {other} WHERE id = {number}",
            f"UPDATE newsstand_section SET name = name || 'x' WHERE id = {other} AND length(name) < 30",
            f"INSERT INTO newsstand_comment (article_id, text, score) VALUES ({number}, 'c', {other})",
            f"DELETE FROM newsstand_comment WHERE id IN (SELECT min(id) FROM newsstand_comment WHERE article_id = {number})",
            f"UPDATE newsstand_comment SET score = score + 1 WHERE article_id = {number}",
        ]
    )


def random_read(m: Any, draw: random.Random) -> Callable[[], Any]:
    number, other = draw.randint(1, 6), draw.randint(1, 3)
    return draw.choice(
        [
            lambda: m.Article.objects.filter(pk=number).values_list("version", "section").first(),
            lambda: sorted(m.Article.objects.filter(section=other).values_list("pk", "version")),
            lambda: m.Article.objects.count(),
            lambda: m.Comment.objects.filter(article=number).aggregate(n=Count("pk"), s=Sum("score")),
            lambda: sorted(m.Article.objects.values_list("pk", "section__name")),
            lambda: [(one.pk, one.section.name) for one in m.Article.objects.select_related("section").order_by("pk")],
            lambda: sorted(m.Section.objects.annotate(n=Count("articles")).values_list("pk", "n")),
            lambda: m.Comment.objects.filter(article__section=other).count(),
            lambda: m.Section.objects.get(slug=f"s{other}").name,
        ]
    )


def write(m: Any, draw: random.Random) -> None:
    number, other = draw.randint(1, 5), draw.randint(1, 3)

    def save() -> None:
        for article in m.Article.objects.filter(pk=number):
            article.version += 1
            article.save()

    def rolled_back() -> None:
        with transaction.atomic():
            save()
            m.Comment.objects.filter(article=number).delete()
            for _ in range(3):
                random_read(m, draw)()  # must neither be kept nor come from the cache
            transaction.set_rollback(True)

    def together() -> None:
        with transaction.atomic():
            save()
            m.Comment.objects.create(article_id=number, text="t", score=other)

    def raw() -> None:
        with connection.cursor() as cursor:
            cursor.execute(random_statement(draw))

    draw.choice(
        [
            save,
            rolled_back,
            together,
            raw,
            lambda: m.Article.objects.filter(section=other).update(version=F("version") + 1),
            lambda: m.Article.objects.filter(pk=number).update(section=other),
            lambda: m.Comment.objects.bulk_create([m.Comment(article_id=number, text="b") for _ in range(other)]),
            lambda: m.Comment.objects.filter(article=number).delete(),
        ]
    )()


def test_the_cache_always_says_what_the_database_says(
    site: Any, project: Any, make_round: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    print(f"replay with SEED={SEED} OPERATIONS={OPERATIONS}")
    draw = random.Random(SEED)
    for number in (1, 2, 3):
        site.Section.objects.create(slug=f"s{number}", name=f"n{number}")
    for number in range(1, 6):
        site.Article.objects.create(section_id=number % 3 + 1, title=str(number))
    held: list[tuple[Any, ...]] = []
    done: Counter[str] = Counter()
    store_fill, store_look_up = ProtocolStore.fill, ProtocolStore.look_up

    def fill(self: ProtocolStore, *args: Any) -> bool:
        if draw.random() < 0.3:
            held.append((self, *args))
            done["held"] += 1
            return False
        kept = store_fill(self, *args)
        done["filled" if kept else "refused"] += 1
        return kept

    def look_up(self: ProtocolStore, key: str) -> Any:
        found = store_look_up(self, key)
        done[type(found).__name__] += 1
        return found

    monkeypatch.setattr(ProtocolStore, "fill", fill)
    monkeypatch.setattr(ProtocolStore, "look_up", look_up)
    with connection.cursor() as cursor:
        cursor.execute("SET lock_timeout = '20ms'")  # a writer stopped by the test must not stop the others
    writers = [SlowWriter(project.postgres, draw) for _ in range(2)]
    outside = project.postgres.connect()
    outside.execute("SET lock_timeout = '20ms'")
    client = project.store.client()
    is_behind, round_at = False, 0.0
    for operation in range(OPERATIONS):
        if time.monotonic() > round_at + 0.4 or (is_behind and draw.random() < 0.2):
            make_round()
            is_behind, round_at = False, time.monotonic()
        chance = draw.random()
        if chance < 0.6:
            read = random_read(site, draw)
            found = read()
            with queries.off():
                truth = read()
            if not is_behind:
                assert found == truth, f"SEED={SEED}: operation {operation}: the cache said {found}, the database {truth}"
            done["read"] += 1
        elif chance < 0.75:
            if not any(writer.holds_locks for writer in writers):
                write(site, draw)
                done["write"] += 1
        elif chance < 0.9:
            done["step " + draw.choice(writers).advance()] += 1
        elif chance < 0.94 and held:
            store_fill(*held.pop(draw.randrange(len(held))))
        elif chance < 0.96:
            if not any(writer.holds_locks for writer in writers):
                outside.execute(random_statement(draw))
                is_behind = True
        elif chance < 0.964:
            client.flushall()
            done["flush"] += 1
            if any(writer.step in ("pended", "committed") for writer in writers):
                is_behind = True  # what was pending is lost: promise Q's exception, until commit returned
                for writer in writers:
                    while writer.step != "idle":
                        writer.advance()
            make_round()
            is_behind = False
        elif chance < 0.98:
            keys = sorted([*client.keys("newsstand:t:*"), *client.keys("newsstand:v:*")])
            if keys:
                client.delete(draw.choice(keys))  # eviction
    outside.close()
    for writer in writers:
        writer.connection.close()
    print(dict(done))
    assert done["Value"] > OPERATIONS / 20 and done["refused"] > 0, done
    assert keeper.open_client().ping()
