"""Reading captured logs: last lines, one request through rotated files, following across a rotation."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from slipstream_ops.lifecycle.run import logs
from slipstream_ops.placement import State


def make_logs(tmp_path: Path) -> dict[str, Path]:
    state = State(tmp_path, tmp_path / "run")
    state.logs.mkdir()
    (state.logs / "edge.log").write_text("".join(f"edge line {n}\n" for n in range(100)))
    (state.logs / "app-1.log").write_text('{"request_id": "abc", "status": 200}\nplain abc\n')
    (state.logs / "app-1.log.1").write_text("older abc\n")
    (state.logs / "app-1.log.2").write_text("oldest abc\nanother\n")
    return logs.log_files(state)


def test_the_last_lines_of_each_service(tmp_path: Path) -> None:
    found = list(logs.last_lines(make_logs(tmp_path), 2))
    assert [(line.service, line.text) for line in found if line.service == "edge"] == [
        ("edge", "edge line 98"),
        ("edge", "edge line 99"),
    ]
    assert not list(logs.last_lines(make_logs_again(tmp_path), 0))


def make_logs_again(tmp_path: Path) -> dict[str, Path]:
    return logs.log_files(State(tmp_path, tmp_path / "run"))


def test_one_request_through_rotated_files_oldest_first(tmp_path: Path) -> None:
    found = list(logs.lines_of_request(make_logs(tmp_path), "abc"))
    assert [line.text.split()[0] for line in found] == ["oldest", "older", '{"request_id":', "plain"]
    embedded = [json.loads(logs.as_json(line)) for line in found]
    assert embedded[2] == {"service": "app-1", "entry": {"request_id": "abc", "status": 200}}
    assert embedded[3] == {"service": "app-1", "text": "plain abc"}


def test_following_picks_up_whole_lines_and_a_rotated_file(tmp_path: Path) -> None:
    files = {"app-1": make_logs(tmp_path)["app-1"]}
    path = files["app-1"]
    following = logs.follow(files)
    seen: list[str] = []

    def read(count: int) -> None:
        for _ in range(count):
            seen.append(next(following).text)

    reader = threading.Thread(target=read, args=(3,))
    reader.start()
    before = path.stat().st_size
    while reader.is_alive() and not seen:
        with path.open("a") as stream:
            stream.write("half")
            stream.flush()
            stream.write(" a line\nsecond\n")
        reader.join(0.5)
    path.write_text("after rotation\n" if before > 20 else "")
    reader.join(10)
    assert not reader.is_alive()
    assert "half a line" in seen and set(seen) <= {"half a line", "second", "after rotation"}
