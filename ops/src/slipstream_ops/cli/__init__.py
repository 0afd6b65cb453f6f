"""The command ``slipstream``: verbs in the order of a site's life; few at the top, the rest grouped."""

from __future__ import annotations

import sys

import click

from slipstream_ops import __version__
from slipstream_ops.cli import caching, configuring, installing, owning, running
from slipstream_ops.cli.screen import show_complaint
from slipstream_ops.complaint import Complaint, nearest

VERBS = (
    installing.install,
    installing.trust,
    running.up,
    running.status,
    running.logs,
    running.restart,
    running.reload,
    running.down,
    configuring.config,
    caching.cache,
    owning.init,
    owning.eject,
    owning.manage,
)


class LifeCycleGroup(click.Group):
    """Lists verbs in the order of a site's life, and knows what a mistyped one meant."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self.commands)

    def resolve_command(self, context: click.Context, arguments: list[str]) -> tuple[str | None, click.Command | None, list[str]]:
        if arguments and arguments[0] not in self.commands and not arguments[0].startswith("-"):
            guess = nearest(arguments[0], self.commands)
            hint = f' Did you mean "{guess}"?' if guess else ""
            context.fail(f'There is no verb "{arguments[0]}".{hint} See `slipstream --help`.')
        return super().resolve_command(context, arguments)


@click.group(cls=LifeCycleGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="slipstream")
def group() -> None:
    """Run the Django project you already have on the whole tuned stack.

    \b
    Example:
      cd my-django-project
      slipstream install       # once: the server packages
      slipstream up            # the whole stack; Ctrl-C stops it
    """


for verb in VERBS:
    group.add_command(verb)


def main() -> None:
    """Entry point: complaints become one sentence and exit code 1, Ctrl-C exit code 130; never a traceback for bad input."""
    try:
        group(standalone_mode=False)
    except Complaint as complaint:
        show_complaint(complaint)
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(0)
