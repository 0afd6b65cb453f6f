"""Everything a user can get wrong before the first page: one clear sentence each, exit code 1, and nothing is lost."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest
from conftest import start_project
from sites import REPOSITORY, SYSTEM_PYTHON, Site

from slipstream_ops.lifecycle.build import state


@pytest.fixture
def project(tmp_path: Path, django_environment: Path) -> Site:
    return start_project(tmp_path / "site", django_environment)


def test_no_project_and_two(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    assert "no manage.py was found" in Site(tmp_path).complaint("up")
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "manage.py").write_text("os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'x.settings')")
    assert "2 projects were found: one/manage.py, two/manage.py" in Site(tmp_path).complaint("up")


def test_settings_that_do_not_import_show_the_projects_own_error(project: Site) -> None:
    settings = project.folder / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + "\nimport surely_not_there\n")
    said = project.complaint("up", "--detach")
    assert "No module named 'surely_not_there'" in said
    assert "mysite/settings.py" in said
    assert "slipstream/survey" not in said and "importlib" not in said, "only the project's frames are shown"


def test_no_wsgi_application_and_asgi_only(project: Site) -> None:
    settings = project.folder / "mysite" / "settings.py"
    original = settings.read_text()
    settings.write_text(original.replace("mysite.wsgi.application", "mysite.nothing.application"))
    assert "mysite.nothing" in project.complaint("up", "--detach")
    settings.write_text(
        original.replace("WSGI_APPLICATION = 'mysite.wsgi.application'", "ASGI_APPLICATION = 'mysite.asgi.application'")
    )
    (project.folder / "mysite" / "wsgi.py").unlink()
    said = project.complaint("up", "--detach")
    assert "ASGI" in said and "wsgi.py" in said


def test_an_interpreter_without_django(project: Site) -> None:
    project.python = SYSTEM_PYTHON
    assert "it has no Django" in project.complaint("up", "--detach")
    project.python = Path("/nowhere/python")
    assert "/nowhere/python is not a program" in project.complaint("up", "--detach")


def test_a_pinned_port_that_is_busy_names_its_holder(project: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = busy.getsockname()[1]
        said = project.complaint("up", "--detach", "--port", str(port))
    assert f"taking port {port}" in said and "(pid " in said


def test_a_wrong_key_is_named_with_its_line(project: Site) -> None:
    (project.folder / "slipstream.toml").write_text("[site]\nmode = 'respect'\n\n[appserver]\nproceses = 3\n")
    said = project.complaint("up", "--detach")
    assert 'slipstream.toml, line 5: "appserver.proceses" is not a key of the stack file. Did you mean "processes"?' in said


def test_a_state_folder_of_another_version(project: Site) -> None:
    project.state.mkdir()
    (project.state / "version.json").write_text('{"layout": 77, "version": "7.7"}')
    assert "made by slipstream 7.7" in project.complaint("up", "--detach")


def test_a_missing_program_is_named_with_package_and_command(project: Site, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "env", "setfacl", "useradd"):
        found = shutil.which(name)
        assert found
        (programs / name).symlink_to(found)
    code = (
        "import slipstream_ops.execution as e; e.SYSTEM_FOLDERS = ''\n"
        "import sys; from slipstream_ops.cli import main; sys.argv = ['slipstream', *sys.argv[1:]]; main()"
    )
    done = subprocess.run(
        [REPOSITORY / ".venv/bin/python", "-c", code, "up", "--python", str(project.python), "--detach"],
        cwd=project.folder,
        env={**project.full_environment(), "PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "haproxy (package haproxy)" in done.stderr and "slipstream install" in done.stderr


def test_verbs_on_a_stack_that_is_not_running(project: Site) -> None:
    for arguments in (("status",), ("reload",), ("restart", "edge")):
        assert "the stack is not running" in project.complaint(*arguments)
    assert "there are none yet" in project.complaint("logs")
    assert "Nothing was running" in project.slipstream("down").stderr


def test_a_mistyped_verb(project: Site) -> None:
    done = project.slipstream("stauts", check=False)
    assert done.returncode == 2
    assert 'Did you mean "status"?' in done.stderr


def test_destroy_asks(project: Site) -> None:
    project.state.mkdir()
    (project.state / "version.json").write_text('{"layout": 1, "version": "0.1.0"}')
    done = project.slipstream("down", "--destroy", check=False)
    assert done.returncode != 0 and project.state.exists(), "nobody answered, so nothing is removed"
    project.slipstream("down", "--destroy", "--yes")
    assert not project.state.exists()


def test_init_writes_a_valid_file_once(project: Site) -> None:
    project.slipstream("init")
    assert "exists already" in project.complaint("init")
    assert project.slipstream("init", "--all").stdout.startswith("# slipstream.toml")
    (project.folder / "slipstream.toml").write_text(project.slipstream("init", "--all").stdout)
    project.slipstream("config", "show")


def test_a_path_that_configurations_cannot_carry_is_refused(projects: Path, django_environment: Path) -> None:
    site = start_project(projects / "my site", django_environment)
    said = site.complaint("up", "--detach")
    assert "its path holds ' '" in said and "Move or rename the folder" in said
    assert not site.state.exists()


def test_down_in_the_middle_of_up(bare: Site) -> None:
    """The one who is starting is told in a sentence; nothing is left running."""
    package = bare.folder / "slow"
    (package / "migrations").mkdir(parents=True)
    for folder in (package, package / "migrations"):
        (folder / "__init__.py").touch()
    begun, go_on = bare.folder / "begun", bare.folder / "go-on"
    (package / "migrations" / "0001_wait.py").write_text(
        "import pathlib, time\n"
        "from django.db import migrations\n"
        "def wait(apps, schema_editor):\n"
        f"    pathlib.Path({str(begun)!r}).touch()\n"
        "    deadline = time.monotonic() + 60\n"
        f"    while not pathlib.Path({str(go_on)!r}).exists() and time.monotonic() < deadline:\n"
        "        time.sleep(0.05)\n"
        "class Migration(migrations.Migration):\n"
        "    operations = [migrations.RunPython(wait)]\n"
    )
    settings = bare.folder / "mysite" / "settings.py"
    settings.write_text(settings.read_text() + "\nINSTALLED_APPS.append('slow')\n")
    starting = subprocess.Popen(
        bare.command("up", "--detach"),
        cwd=bare.folder,
        env=bare.full_environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 120
        while not begun.exists() and starting.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        bare.slipstream("down")
    finally:
        go_on.touch()
        said = starting.communicate(timeout=120)[1]
    assert starting.returncode == 1
    assert "Traceback" not in said
    assert "its process manager has ended meanwhile" in said.splitlines()[-1]
    assert "the stack is not running" in bare.complaint("status")


def test_down_while_up_has_started_nothing_yet(project: Site) -> None:
    """It would find nothing to stop, and the site would come up after all."""
    opened = state.open_state(project.folder)
    with state.locked(opened, "starting the stack"):
        assert "is changing this stack right now" in project.complaint("down")


def test_a_full_disk_is_told_before_anything_is_started(project: Site) -> None:
    project.state.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", project.state], check=True)
    try:
        said = project.complaint("up", "--detach")
        assert "MB are free" in said and "nothing was changed" in said
        subprocess.run(["dd", "if=/dev/zero", f"of={project.state}/filler", "bs=1M"], capture_output=True, check=False)
        project.complaint("up", "--detach")
        assert "the stack is not running" in project.complaint("status")
    finally:
        subprocess.run(["umount", project.state], check=True)
