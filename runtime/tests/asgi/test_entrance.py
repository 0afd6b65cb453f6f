"""What stands before the project's ASGI application: health, files, the limit of time; and before WSGI, a whole body."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from slipstream import wire
from slipstream.asgi import Entrance
from slipstream.serving import scoreboard


async def hello(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})


async def silent(scope: Any, receive: Any, send: Any) -> None:
    await asyncio.sleep(30)


async def streaming(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await asyncio.sleep(0.3)
    await send({"type": "http.response.body", "body": b"late"})


def ask(entrance: Entrance, path: str = "/", **scope: Any) -> tuple[int, bytes, dict[bytes, bytes]]:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def receive() -> Any:
        return {"type": "http.request"}

    asked = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode(), "headers": [], **scope}
    asyncio.run(entrance(asked, receive, send))
    start, *bodies = messages
    return start["status"], b"".join(part.get("body", b"") for part in bodies), dict(start["headers"])


def test_health_is_answered_without_the_project() -> None:
    status, body, headers = ask(Entrance(silent, 1.0), wire.HEALTH_PATH)
    assert (status, body, headers[b"cache-control"]) == (200, b"ok", b"no-store")


@pytest.mark.parametrize(("application", "expected"), [(hello, (200, b"hello")), (silent, (503, b"The request took too long."))])
def test_an_answer_has_to_begin_in_time(application: Callable[..., Awaitable[None]], expected: tuple[int, bytes]) -> None:
    assert ask(Entrance(application, 0.1))[:2] == expected


def test_an_answer_that_has_begun_may_last() -> None:
    assert ask(Entrance(streaming, 0.1))[:2] == (200, b"late")


def test_the_projects_own_timeout_stays_its_own() -> None:
    async def gives_up(scope: Any, receive: Any, send: Any) -> None:
        raise TimeoutError("a server of the project's")

    with pytest.raises(TimeoutError, match="of the project's"):
        ask(Entrance(gives_up, 5.0))


def test_each_request_has_one_line_that_nobody_else_can_write(capsys: pytest.CaptureFixture[str]) -> None:
    path = '/x","status":"200\\'
    ask(Entrance(hello, None), path, headers=[(b"x-request-id", b"one"), (b"x-forwarded-for", b"203.0.113.7, 127.0.0.1")])
    (line,) = capsys.readouterr().out.splitlines()
    entry = json.loads(line)
    assert (entry["path"], entry["status"], entry["request_id"], entry["client"]) == (path, 200, "one", "203.0.113.7")


def test_files_stand_before_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.0123456789ab.css").write_text("a{}")
    monkeypatch.setenv(wire.FILES_VARIABLE, json.dumps([{"url": "/static/", "folder": str(tmp_path), "is_static": True}]))
    entrance = Entrance(hello, None)
    status, body, headers = ask(entrance, "/static/a.0123456789ab.css")
    assert (status, body) == (200, b"a{}") and b"immutable" in headers[b"cache-control"]
    assert ask(entrance, "/static/none.css")[1] == b"hello"
    assert ask(entrance, "/static/../secret")[1] == b"hello"


def test_a_scoreboard_is_read_by_others_and_outlived_by_what_was_killed(tmp_path: Path) -> None:
    board = scoreboard.Scoreboard(tmp_path / "17")
    board.add(busy=1, requests=2)
    board.add(busy=-1, killed=1)
    assert scoreboard.read_cells(tmp_path / "17") == {
        "busy": 0, "requests": 2, "exceptions": 0, "killed": 1, "microseconds": 0, "sent_bytes": 0,
    }  # fmt: skip
    scoreboard.retire(tmp_path, 17)
    scoreboard.retire(tmp_path, 18)
    assert not (tmp_path / "17").exists() and (tmp_path / wire.KILLED_FILE).read_text() == "1"
    scoreboard.clear(tmp_path)
    assert not list(tmp_path.iterdir())
