"""Stacks that several tests share: each is brought up once, on a project in a folder of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from sites import Site, copy_gazette, make_environment, running


@pytest.fixture(scope="session")
def projects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that other users may pass, as /srv would be."""
    folder = Path("/tmp") / f"ss-journey-{tmp_path_factory.getbasetemp().name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def django_environment(projects: Path) -> Path:
    """An interpreter whose environment holds Django and nothing else."""
    return make_environment(projects / "environment", "Django>=5.2,<5.3")


@pytest.fixture
def bare(projects: Path, django_environment: Path, request: pytest.FixtureRequest) -> Iterator[Site]:
    """What `django-admin startproject` makes, stopped at the end of the test."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)[-40:]
    site = start_project(projects / name, django_environment)
    yield site
    site.slipstream("down", "--destroy", "--yes", check=False)


def start_project(folder: Path, python: Path) -> Site:
    folder.mkdir(parents=True)
    subprocess.run([python, "-m", "django", "startproject", "mysite", folder], check=True)
    return Site(folder, python)


@pytest.fixture(scope="session")
def gazette(projects: Path) -> Iterator[Site]:
    """The gazette, unedited, on the whole stack with its small set of data."""
    site = copy_gazette(projects / "gazette")
    with running(site):
        site.slipstream("manage", "generate", "--scale", "small", "--if-empty")
        yield site
