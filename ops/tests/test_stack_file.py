"""The stack file: the example is the schema, and every mistake gets the file, the line and the nearest key."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from slipstream_ops.complaint import Complaint
from slipstream_ops.stack import EXAMPLE, StackFile, as_toml_value, find_line, parse_size, read_stack_file


def complaint_about(tmp_path: Path, text: str) -> str:
    path = tmp_path / "slipstream.toml"
    path.write_text(text)
    with pytest.raises(Complaint) as caught:
        read_stack_file(path)
    return str(caught.value)


def test_the_example_says_the_defaults() -> None:
    assert StackFile.model_validate(tomllib.loads(EXAMPLE.read_text())) == StackFile()


def test_the_example_mentions_every_key() -> None:
    text = EXAMPLE.read_text()
    for section, field in StackFile.model_fields.items():
        assert f"[{section}]" in text
        model = field.annotation
        assert isinstance(model, type) and issubclass(model, BaseModel)
        for key in model.model_fields:
            assert f"{key} =" in text or f"[{section}.{key}]" in text, f"{section}.{key} is not in the example"


def test_commented_examples_are_valid_too() -> None:
    text = EXAMPLE.read_text().replace('\n# "', '\n"')
    lines = [
        line[2:] if line.startswith("# ") and " = " in line and line[2:].split(" = ")[0].isidentifier() else line
        for line in text.splitlines()
    ]
    read = StackFile.model_validate(tomllib.loads("\n".join(lines)))
    assert read.host.memory == 12 << 30
    assert read.site.redirects == {"/old/path/": "/new/path/"}
    assert read.database.server == "postgresql"


def test_no_file_and_an_empty_file_are_complete_stacks(tmp_path: Path) -> None:
    (tmp_path / "slipstream.toml").write_text("")
    assert read_stack_file(None) == read_stack_file(tmp_path / "slipstream.toml") == StackFile()


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("[site]\nnams = ['a']\n", 2, '"site.nams" is not a key of the stack file. Did you mean "names"?'),
        ("\n[acelerator]\nmemory = 1\n", 2, '"acelerator" is not a section of the stack file. Did you mean "accelerator"?'),
        ("[appserver]\ninstances = 'many'\n", 2, 'appserver.instances = "many" cannot be used'),
        ("[appserver]\n\ninstances = 0\n", 3, "appserver.instances = 0 cannot be used"),
        ("[site]\nmode = 'fast'\n", 2, "'observe', 'respect' or 'fresh'"),
        ("[host]\nmemory = 'lots'\n", 2, 'write a size such as "512 MB"'),
        ("[edge]\nserver = 'haprxy'\n", 2, 'Did you mean "haproxy"?'),
        ("[edge]\nport = 8443\nhttp_port = 8443\n", 3, "both 8443"),
        ("[cache]\nserver = 'external'\n", 2, "an external cache has no address"),
        ("[cache]\nurls = ['redis://10.0.0.1/0']\n", 2, 'Set server = "external"'),
        ("[broker]\nurl = 'redis://10.0.0.1/0'\n", 2, 'Set server = "external"'),
        ("[site]\nnames = ['https://example.org/']\n", 2, "without scheme"),
        ("[site]\nnames = []\n", 2, "at least 1"),
        ("[site]\nnames = 'www.example.org'\n", 2, 'write a list: ["www.example.org"]'),
        ("[site.redirects]\n'old' = '/new/'\n", 2, 'begins with "/"'),
        ("[site]\nredirects = { '/a/' = 'javascript:x' }\n", 2, "http(s) URL"),
        ("[accelerator]\npurgers = ['everyone']\n", 2, "does not appear to be an IPv4 or IPv6 network"),
        ("[site]\nmissing = ['/a b']\n", 2, "percent-encoded"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, line: int, said: str) -> None:
    sentence = complaint_about(tmp_path, text)
    assert f"slipstream.toml, line {line}:" in sentence, sentence
    assert said in sentence, sentence


def test_broken_toml_and_unreadable_files_are_sentences(tmp_path: Path) -> None:
    assert "not valid TOML" in complaint_about(tmp_path, "[site\n")
    with pytest.raises(Complaint, match="cannot be read"):
        read_stack_file(tmp_path / "absent.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Complaint, match="not UTF-8"):
        read_stack_file(tmp_path / "binary.toml")


@given(st.text(max_size=400))
def test_no_text_brings_a_traceback(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("stack") / "slipstream.toml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        read_stack_file(path)
    except Complaint as complaint:
        assert str(path) in str(complaint)


@given(st.integers(1, 1 << 20), st.sampled_from(["", "K", "M", "G", "KB", "MB", "GB", " MB", "MiB"]))
def test_sizes_count_in_powers_of_two(number: int, unit: str) -> None:
    factor = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}[unit.strip()[:1]]
    assert parse_size(f"{number}{unit}") == number * factor


@given(
    st.one_of(
        st.booleans(),
        st.integers(-(2**53), 2**53),
        st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=126)),
        st.lists(st.integers(0, 9)),
    )
)
def test_values_written_are_read_back(value: object) -> None:
    assert tomllib.loads(f"x = {as_toml_value(value)}")["x"] == value


def test_a_dotted_key_and_a_header_are_found() -> None:
    text = 'site.mode = "x"\n[a]\nb = 1\n[a.c]\n"d" = 2\n'
    assert find_line(text, ("site", "mode")) == 1
    assert find_line(text, ("a", "b")) == 3
    assert find_line(text, ("a", "c", "d")) == 5
    assert find_line(text, ("a", "zzz")) == 4 or find_line(text, ("a", "zzz")) == 2
