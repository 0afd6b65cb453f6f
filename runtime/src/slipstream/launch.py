"""Starts a program inside the project's interpreter with the lent packages behind the project's own.

``python -m slipstream.launch <module> [arguments]`` runs the module as ``python -m <module>`` would. Nothing is installed
in the project's environment: folders named in ``SLIPSTREAM_LENT`` are appended to the end of ``sys.path``, so that a
package the project has itself always wins.
"""

from __future__ import annotations

import os
import runpy
import sys

from slipstream import wire


def append_lent_folders(variable: str = wire.LENT_VARIABLE) -> None:
    """Put the folders that ``variable`` names at the end of the import path; those already on it stay where they are."""
    for folder in os.environ.get(variable, "").split(os.pathsep):
        if folder and folder not in sys.path and os.path.isdir(folder):  # noqa: PTH112 - pathlib costs 10 ms at each start
            sys.path.append(folder)


def load_overlay() -> None:
    """Put the overlay's settings in force before any code of the project runs.

    A project whose celery.py assigns ``os.environ["DJANGO_SETTINGS_MODULE"]`` outright (``setdefault`` is usual) would
    otherwise run without the stack's settings.
    """
    if os.environ.get("DJANGO_SETTINGS_MODULE") == wire.OVERLAY_MODULE:
        from django.conf import settings

        bool(settings.DEBUG)


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(f"usage: python -m {wire.LAUNCH_MODULE} <module> [arguments]")
    append_lent_folders()
    module = sys.argv[1]
    sys.argv = [module, *sys.argv[2:]]
    if module == "pyuwsgi":
        # An extension module, which runpy cannot run. Its master process must stay free of the project's code, so that a
        # reload gives every worker all of the new code: the overlay is loaded in the workers, by slipstream.wsgi.
        import pyuwsgi

        sys.exit(pyuwsgi.run())
    if not module.startswith("slipstream."):
        load_overlay()
    if module == "celery":
        from slipstream.jobs import prepare_worker

        prepare_worker()
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
