"""Which server programs the stack needs, which are missing here, and the one command that installs them."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterable

from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import search_path
from slipstream_ops.layers.contract import Requirement

ACCESS_LISTS = Requirement("setfacl", "acl")
"""Lets services with users of their own reach a project under a private home; needed as root only."""


def is_present(requirement: Requirement) -> bool:
    """Whether the program is on the PATH, in a system folder, or in one of its own places (patterns allowed)."""
    if shutil.which(requirement.binary, path=search_path()):
        return True
    return any(
        os.access(found, os.X_OK)
        for place in requirement.places
        for found in glob.glob(f"{place}/{requirement.binary}")  # noqa: PTH207 - the folders may be patterns
    )


def missing(requirements: Iterable[Requirement]) -> tuple[Requirement, ...]:
    return tuple(dict.fromkeys(r for r in requirements if not is_present(r)))


def packages_of(requirements: Iterable[Requirement]) -> tuple[str, ...]:
    """Debian packages, each once, in order."""
    return tuple(dict.fromkeys(package for r in requirements for package in r.package.split()))


def install_command(requirements: Iterable[Requirement]) -> str:
    """What a person types on Debian or Ubuntu."""
    return "sudo apt-get install --no-install-recommends " + " ".join(packages_of(requirements))


def refuse_missing(requirements: Iterable[Requirement]) -> None:
    """Raise ``Complaint`` that names each missing program, its package, and the command."""
    found = missing(requirements)
    if found:
        listed = ", ".join(f"{r.binary} (package {r.package})" for r in found)
        raise Complaint(
            "looking for the servers of the stack",
            f"missing: {listed}",
            f"Run `slipstream install`, or: {install_command(found)}",
        )
