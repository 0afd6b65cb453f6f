"""Finding the project by its files: one manage.py, none, several; settings; interpreters."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from slipstream_ops.complaint import Complaint
from slipstream_ops.lifecycle.build import discovery
from slipstream_ops.lifecycle.build.interpreter import question_interpreter

MANAGE = "import os\nos.environ.setdefault('DJANGO_SETTINGS_MODULE', '{settings}')\n"


@pytest.fixture(autouse=True)
def no_hints_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DJANGO_SETTINGS_MODULE", "VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)


def make_project(folder: Path, settings: str = "mysite.settings") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "manage.py").write_text(MANAGE.format(settings=settings))
    return folder


def make_interpreter(folder: Path) -> Path:
    (folder / "bin").mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("")
    python = folder / "bin" / "python"
    python.symlink_to(sys.executable)
    return python


def test_here_below_and_above(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    root = make_project(tmp_path / "src")
    (root / "app" / "deep").mkdir(parents=True)
    assert discovery.find_project_root(root) == root
    assert discovery.find_project_root(tmp_path) == root
    assert discovery.find_project_root(root / "app" / "deep") == root


def test_none_and_two_are_refused_with_what_was_found(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    with pytest.raises(Complaint, match=r"no manage.py was found.*--project"):
        discovery.find_project_root(tmp_path)
    make_project(tmp_path / "one")
    make_project(tmp_path / "two")
    with pytest.raises(Complaint, match=r"2 projects were found: one/manage.py, two/manage.py"):
        discovery.find_project_root(tmp_path)
    with pytest.raises(Complaint, match="no such folder"):
        discovery.find_project_root(tmp_path / "three")


def test_a_manage_script_in_an_environment_is_no_project(tmp_path: Path) -> None:
    make_project(tmp_path / "venv" / "x")
    make_project(tmp_path / "node_modules" / "y")
    assert discovery.find_project_root(make_project(tmp_path / "real").parent) == tmp_path / "real"


def test_settings_as_told_by_environment_and_by_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_project(tmp_path)
    assert discovery.find_settings(root, None) == "mysite.settings"
    assert discovery.find_settings(root, "other.settings") == "other.settings"
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "from.environment")
    assert discovery.find_settings(root, None) == "from.environment"


def test_ambiguous_settings_are_asked_or_refused_with_the_candidates(tmp_path: Path) -> None:
    root = make_project(tmp_path, "mysite.settings.local")
    (root / "mysite").mkdir()
    (root / "mysite" / "wsgi.py").write_text(MANAGE.format(settings="mysite.settings.production"))
    with pytest.raises(Complaint, match=r"mysite.settings.local, mysite.settings.production"):
        discovery.find_settings(root, None)
    assert discovery.find_settings(root, None, lambda question, names: names[1]) == "mysite.settings.production"


def test_the_projects_own_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make_project(tmp_path / "src")
    other = make_interpreter(tmp_path / "elsewhere")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
    assert discovery.find_interpreter(root, None) == other
    above = make_interpreter(tmp_path / ".venv")
    assert discovery.find_interpreter(root, None) == above
    own = make_interpreter(root / ".venv")
    assert discovery.find_interpreter(root, None) == own
    assert discovery.find_interpreter(root, str(tmp_path / "elsewhere")) == other
    with pytest.raises(Complaint, match="not a program that can be run"):
        discovery.find_interpreter(root, "/nowhere/python")


def test_an_interpreter_without_django_is_a_sentence() -> None:
    system = Path("/usr/bin/python3")
    assert system.exists()
    with pytest.raises(Complaint, match=r"it has no Django .*--python PATH"):
        question_interpreter(system, ())


def test_an_interpreter_that_does_not_run_is_a_sentence(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho no such library >&2\nexit 127\n")
    broken.chmod(0o755)
    with pytest.raises(Complaint, match="cannot run a simple program") as caught:
        question_interpreter(broken, ())
    assert "no such library" in caught.value.detail


def test_an_old_python_and_an_old_django_are_sentences(tmp_path: Path) -> None:
    def pretend(version: str, django: str) -> Path:
        fake = tmp_path / f"python-{version}-{django}"
        facts = f'{{"version": {version}, "django": "{django}", "runtime": null, "installed": [], "prefixes": [], "tag": "x"}}'
        fake.write_text(f"#!/bin/sh\necho '{facts}'\n")
        fake.chmod(0o755)
        return fake

    with pytest.raises(Complaint, match=r"it is Python 3.9.1"):
        question_interpreter(pretend("[3, 9, 1]", "5.2"), ())
    with pytest.raises(Complaint, match=r"it has Django 4.2.30"):
        question_interpreter(pretend("[3, 12, 0]", "4.2.30"), ())
    assert question_interpreter(pretend("[3, 12, 0]", "6.0a1"), ()).django == "6.0a1"


def test_this_interpreter_is_understood() -> None:
    found = question_interpreter(Path(sys.executable), ("json", "surely_not_there"))
    assert found.version == sys.version_info[:3]
    assert found.installed == {"json"}
    assert Path(os.path.realpath(sys.executable)).parent in found.prefixes


def test_settings_that_are_put_together_are_not_guessed(tmp_path: Path) -> None:
    make_project(tmp_path)
    (tmp_path / "manage.py").write_text("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'mysite.' + name)\n")
    with pytest.raises(Complaint, match=r"names no settings module.*\[project\]"):
        discovery.find_settings(tmp_path, None)


@pytest.mark.parametrize("name", ["my site", "it's", "50%", "a:b", "semi;colon", "two\nlines", "{{ x }}", 'a"b'])
def test_a_path_that_no_configuration_can_carry_is_refused(name: str) -> None:
    with pytest.raises(Complaint, match=r"its path holds .*Move or rename"):
        discovery.refuse_awkward_path(Path("/srv") / name)


def test_usual_paths_are_accepted() -> None:
    for name in ("größe", "a-b_c.d+e@f~g", "copy(2)"):
        discovery.refuse_awkward_path(Path("/srv") / name)
