"""What the documentation says is so: links lead somewhere, examples are accepted, nothing that a user can write is missing."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from pages import PAGES, ROOT, Page, page
from pydantic import BaseModel

from slipstream_ops.cli import group
from slipstream_ops.complaint import Complaint
from slipstream_ops.layers import contract
from slipstream_ops.placement import LAYERS
from slipstream_ops.stack import StackFile, available_servers, read_stack_file

LARGEST_PICTURE_BYTES = 300_000
SHARED_OPTIONS = {"--project", "--config", "--python", "--json"}
"""Described once for all verbs."""

SOURCES = ("ops/", "runtime/", "tests/", "examples/", "bench/", "scripts/", "docs/")


def each(pages: tuple[Page, ...] = PAGES) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("which", pages, ids=str)


@each()
def test_links_lead_somewhere(which: Page) -> None:
    for link in which.links:
        name, _, anchor = link.partition("#")
        target = (which.path.parent / name).resolve() if name else which.path
        assert target.exists(), f"{which}: {link}"
        assert not anchor or anchor in Page(target).anchors, f"{which}: {link} is no heading there"


def test_pictures_are_small_and_shown() -> None:
    shown = {(one.path.parent / link).resolve() for one in PAGES for link in one.links if link.endswith(".png")}
    kept = set((ROOT / "docs" / "images").glob("*.png"))
    assert kept and kept == shown
    for path in kept:
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG") and len(data) < LARGEST_PICTURE_BYTES, path.name


@each()
def test_files_and_tests_that_are_named_exist(which: Page) -> None:
    named = re.findall(r"`([\w./*-]+)`", which.prose)
    for path in (name for name in named if name.startswith(SOURCES) and name != "ops/"):
        assert list(ROOT.glob(path.rstrip("/"))), f"{which} names {path}"
    tests = {name for name in named if re.fullmatch(r"test_\w+", name)}
    known = {
        name
        for folder in ("ops/tests", "runtime/tests", "tests")
        for path in (ROOT / folder).rglob("test_*.py")
        for name in (path.stem, *re.findall(r"^\s*def (test_\w+)", path.read_text(), re.MULTILINE))
    }
    assert tests <= known, f"{which} names tests that do not exist: {tests - known}"


@each()
def test_no_page_names_a_folder_of_the_machine_it_was_written_on(which: Page) -> None:
    assert not re.search(r"/work/|/tmp/|/root/|/home/\w", which.text)


# The command ---------------------------------------------------------------------------------------------------------
def verbs(command: click.Command, words: tuple[str, ...] = ("slipstream",)) -> list[tuple[str, click.Command]]:
    found = []
    for name, verb in command.commands.items() if isinstance(command, click.Group) else ():
        found += [(" ".join((*words, name)), verb), *verbs(verb, (*words, name))]
    return found


@pytest.mark.parametrize(("name", "verb"), verbs(group), ids=lambda value: value if isinstance(value, str) else "")
def test_every_verb_is_described_with_an_example_and_its_options(name: str, verb: click.Command) -> None:
    text = page("commands.md").section(f"`{name}`")
    assert text, f"docs/commands.md has no heading for `{name}`"
    if isinstance(verb, click.Group):
        return
    assert re.search(rf"^\$ (?:.*&& |sudo )?{name}\b", text, re.MULTILINE), f"no example of `{name}`"
    for option in (one for one in verb.params if isinstance(one, click.Option)):
        if not SHARED_OPTIONS & set(option.opts):
            shown = any(re.search(rf"(?<![\w-]){word}(?![\w-])", text) for word in option.opts)
            assert shown, f"docs/commands.md does not show {option.opts} of `{name}`"


@each(PAGES)
def test_what_a_reader_types_is_understood(which: Page) -> None:
    for words in which.typed():
        program, *arguments = words[1:] if words[0] == "sudo" else words
        if program == "make":
            assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE), words
        elif Path(program).name == "slipstream" and arguments != ["stauts"]:
            understand(arguments)


def understand(arguments: list[str]) -> None:
    """Parse as the command would, without carrying it out. Raises click's own error."""
    context, command = click.Context(group, info_name="slipstream"), group
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, arguments)  # type: ignore[assignment]
        if isinstance(command, click.Group):
            context = click.Context(command, parent=context, info_name=name)
    command.make_context(name, list(arguments), parent=context)


def test_a_word_that_is_no_verb_would_be_noticed() -> None:
    with pytest.raises(click.UsageError):
        understand(["config", "chekc"])
    with pytest.raises(click.UsageError):
        understand(["up", "--detatch"])
    said = CliRunner().invoke(group, ["stauts"]).output.splitlines()[-1]
    assert said in page("commands.md").text


# The stack file ------------------------------------------------------------------------------------------------------
def documented(section: str) -> dict[str, str]:
    """Default by key, as the section's table says."""
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| ", page("stack-file.md").section(f"`[{section}]`"), re.MULTILINE)
    return dict(rows)


@pytest.mark.parametrize("section", list(StackFile.model_fields))
def test_every_key_of_the_stack_file_is_described_with_its_default(section: str) -> None:
    model: Any = StackFile.model_fields[section].annotation
    assert issubclass(model, BaseModel)
    said = documented(section)
    assert list(said) == list(model.model_fields), f"docs/stack-file.md, [{section}]"
    for key, value in model().model_dump(mode="json").items():
        default = said[key].strip("`")
        assert (default == "derived") if value is None else (tomllib.loads(f"x = {default}")["x"] == value), f"{section}.{key}"


def test_products_that_are_named_exist() -> None:
    for layer in set(LAYERS) & set(StackFile.model_fields):
        row = re.search(r"^\| `server` \| .*$", page("stack-file.md").section(f"`[{layer}]`"), re.MULTILINE)
        assert row and set(re.findall(r"\"(\w+)\"", row[0])) <= set(available_servers(layer)), layer


@each()
def test_examples_of_stack_files_are_accepted(which: Page, tmp_path: Path) -> None:
    for block in which.blocks:
        if block.language == "toml":
            path = tmp_path / "slipstream.toml"
            path.write_text(block.text)
            read_stack_file(path)


# What is answered to bad input ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "text",
    [
        '[site]\nmode = "respect"\n\n[appserver]\nproceses = 3\n',
        '[cache]\nmemory = "lots"\n',
        '[cache]\nserver = "external"\n',
    ],
)
def test_what_a_wrong_stack_file_is_answered(text: str, tmp_path: Path) -> None:
    (tmp_path / "slipstream.toml").write_text(text)
    with pytest.raises(Complaint) as found:
        read_stack_file(tmp_path / "slipstream.toml")
    assert_quoted(str(found.value), {tmp_path: "/srv/shop"})


def test_what_is_answered_without_a_project_and_without_a_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = {tmp_path / name: f"/srv/{name}" for name in ("empty", "two", "shop")}
    for folder in names:
        (folder / ".git").mkdir(parents=True)
    for folder in (tmp_path / "two" / "one", tmp_path / "two" / "two", tmp_path / "shop"):
        folder.mkdir(exist_ok=True)
        (folder / "manage.py").write_text("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.settings')")
    (tmp_path / "shop" / "slipstream.toml").touch()
    for folder, words in (
        ("empty", ["up"]),
        ("two", ["up"]),
        ("shop", ["status"]),
        ("shop", ["init"]),
        ("shop", ["eject", str(tmp_path / "shop")]),
    ):
        monkeypatch.chdir(tmp_path / folder)
        found = CliRunner().invoke(group, words).exception
        assert isinstance(found, Complaint), words
        assert_quoted(str(found), names)


def assert_quoted(sentence: str, names: dict[Path, str]) -> None:
    for path, name in names.items():
        sentence = sentence.replace(str(path), name)
    assert sentence in page("commands.md").text + page("stack-file.md").text, sentence


# The contract of a product -------------------------------------------------------------------------------------------
def test_every_name_of_the_contract_is_described() -> None:
    text = page("adding-a-product.md").text
    names = {*contract.Product.__annotations__, *(name for name in vars(contract.Product) if not name.startswith("_"))}
    for name in names | {"offer", "preflight", "UNHURRIED"}:
        assert f"`{name}" in text, f"docs/adding-a-product.md does not describe {name}"


@each()
def test_excerpts_are_what_the_files_say(which: Page) -> None:
    for block in which.blocks:
        if block.language == "python" and block.text.startswith("# ops/"):
            first, *lines = block.text.splitlines()
            ast.parse(block.text)
            source = (ROOT / first.removeprefix("# ")).read_text().splitlines()
            for line in lines:
                assert line in source or line.strip() in ("", "..."), f"{which}: {first} has no line {line!r}"


# The freshness protocol ----------------------------------------------------------------------------------------------
def test_the_numbers_of_states_and_mutations_are_the_models_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "runtime" / "tests" / "freshness" / "protocol"))
    from protocol_model.mutations import MUTATIONS
    from protocol_model.slices import SLICES

    text = page("freshness-protocol.md").text
    assert f"{len(MUTATIONS)} of the general model" in text
    assert f"{len(SLICES)} slices" in text and f"{sum(one.states for one in SLICES):,} states" in text
