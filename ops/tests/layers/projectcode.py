"""Runs a project's own code as the stack would: its settings, then what the stack offers to them."""

from __future__ import annotations

import os
import subprocess

from slipstream_ops import execution
from slipstream_ops.layers.application import django
from slipstream_ops.placement import Stack


def project_environment(stack: Stack) -> dict[str, str]:
    """The environment of a process of the project, its overlay document written."""
    host = stack.hosts[0]
    for file in django.render(stack, host):
        execution.write_file(file)
    return {**os.environ, **django.environment(stack, host)}


def run_in_project(stack: Stack, *arguments: str, timeout_seconds: float = 120) -> str:
    """Standard output of the project's interpreter with ``arguments``, in the project's folder; it must succeed."""
    done = subprocess.run(
        [str(stack.project.python), *arguments],
        cwd=stack.project.root,
        env=project_environment(stack),
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def run_django_code(stack: Stack, code: str) -> str:
    """Standard output of ``code`` after ``django.setup()``."""
    return run_in_project(stack, "-c", f"import django; django.setup()\n{code}")
