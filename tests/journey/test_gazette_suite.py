"""The gazette's own tests, in its own environment, on the stack's database product."""

from __future__ import annotations

import os
import subprocess

from sites import GAZETTE
from workshop import make_stack, running_layers, temporary_folder

from slipstream_ops.layers.database.postgresql.session import OWNER


def test_the_gazettes_own_tests_pass_on_the_stacks_database() -> None:
    with temporary_folder() as folder:
        stack = make_stack(folder, {"database": {"server": "postgresql"}}, layers=frozenset({"database", "application"}))
        with running_layers(stack, "database"):
            endpoint = stack.endpoint("database")
            url = f"postgres://{OWNER}:{stack.secrets.database_owner_password}@{endpoint.netloc}/site"
            done = subprocess.run(
                [GAZETTE / ".venv" / "bin" / "python", "manage.py", "test"],
                cwd=GAZETTE,
                env={**os.environ, "DATABASE_URL": url},
                capture_output=True,
                text=True,
                check=False,
            )
    assert done.returncode == 0, done.stderr[-4000:]
    assert "OK" in done.stderr
