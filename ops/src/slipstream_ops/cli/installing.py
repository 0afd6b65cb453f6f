"""Verbs before the first start: install, trust."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import click

from slipstream_ops.cli.options import json_option
from slipstream_ops.cli.screen import output, print_json, say
from slipstream_ops.complaint import Complaint
from slipstream_ops.execution import is_root, run_in_foreground, run_or_complain
from slipstream_ops.layers.contract import Command, Requirement
from slipstream_ops.lifecycle.build import authority, installing, requirements
from slipstream_ops.lifecycle.build.assemble import Wishes, locate
from slipstream_ops.lifecycle.run.access import ensure_accounts
from slipstream_ops.stack import StackFile


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--project", type=click.Path(path_type=Path), metavar="DIR", help="Install what this project's stack file names.")
@json_option
def install(yes: bool, project: Path | None, as_json: bool) -> None:
    """Install the missing server packages: the only step that needs root.

    Their own services are kept from starting: slipstream runs its own, with its own configuration. On a system
    without apt the names of the missing programs are printed.

    \b
    Example:
      sudo slipstream install --yes
    """
    config = stack_file_of(project)
    needed = (*installing.needed_by(config), requirements.ACCESS_LISTS)
    missing = requirements.missing(needed)
    packages = requirements.packages_of(missing)
    if as_json:
        command = requirements.install_command(missing) if missing else None
        print_json({"missing": [r.binary for r in missing], "packages": packages, "command": command})
        raise SystemExit(1 if missing else 0)
    if missing:
        if not installing.has_apt():
            listed = ", ".join(r.binary for r in missing)
            raise Complaint(
                "installing the servers", "this system has no apt", f"Install these programs by your system's own means: {listed}"
            )
        output.print(f"Missing: {', '.join(packages)}")
        if not is_root():
            become_root(missing, yes, project)
            return
        if not yes:
            click.confirm("Install them?", default=True, abort=True, err=True)
        say("Installing (this can take a minute)")
        installing.install_packages(packages)
        if still := requirements.missing(needed):
            raise Complaint(
                "installing the servers",
                f"still missing: {', '.join(r.binary for r in still)}",
                "Read apt's output with `apt-get install`",
            )
    if is_root() and (made := ensure_accounts()):
        output.print(f"Created the system users {', '.join(made)}.")
    output.print("Everything the stack needs is installed.")


def become_root(missing: tuple[Requirement, ...], yes: bool, project: Path | None) -> None:
    """Run this verb again through sudo where there is one; else say what to type."""
    command = requirements.install_command(missing)
    if shutil.which("sudo") is None:
        raise Complaint(
            "installing the servers", "this needs root, and there is no sudo", f"As root, run: {command.removeprefix('sudo ')}"
        )
    if not yes:
        click.confirm("Install them with sudo?", default=True, abort=True, err=True)
    named = () if project is None else ("--project", str(project.absolute()))
    code = run_in_foreground(Command(("sudo", sys.argv[0], "install", "--yes", *named), "installing through sudo"))
    if code:
        raise Complaint("installing through sudo", f"it ended with exit code {code}", f"Run it yourself: {command}")


def stack_file_of(project: Path | None) -> StackFile:
    """The project's stack file when a project is at hand, else the defaults: everything a stack can need."""
    try:
        return locate(Wishes(project))[1]
    except Complaint:
        if project is not None:
            raise
        return StackFile()


@click.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def trust(yes: bool) -> None:
    """Make this machine believe the certificates of local stacks.

    The authority was made on this machine for this user; its key never leaves it. Debian's store serves curl, Python
    and most programs; browsers with a store of their own import the printed file.

    \b
    Example:
      slipstream trust
    """
    certificate = authority.keep_authority(authority.authority_folder())
    target = Path("/usr/local/share/ca-certificates/slipstream-local.crt")
    output.print(f"The local authority's certificate: {certificate}")
    if shutil.which("update-ca-certificates") is None:
        raise Complaint(
            "trusting the local authority", "this system has no update-ca-certificates", "Import the file above into your browser"
        )
    prefix = () if is_root() else ("sudo",)
    if not yes:
        click.confirm("Add it to this machine's trusted authorities?", abort=True, err=True)
    for argv in ((*prefix, "install", "-m", "644", str(certificate), str(target)), (*prefix, "update-ca-certificates")):
        run_or_complain(
            Command(argv, "trusting the local authority"), "Run the command as root, or import the file into your browser"
        )
    output.print("Trusted. Firefox and Chromium keep stores of their own: import the file there if they still warn.")
