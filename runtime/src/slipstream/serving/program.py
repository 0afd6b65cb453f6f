"""Runs gunicorn inside the project's interpreter, its master free of the project's code.

``python -m slipstream.launch slipstream.serving.program --config FILE`` serves; with ``check`` as the first argument the
configuration is read to its end, and a setting that this gunicorn does not know or accept is an error.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from gunicorn.app.wsgiapp import WSGIApplication


class Server(WSGIApplication):  # type: ignore[misc]
    """gunicorn, which would overlook a misspelt setting."""

    def load_config_from_module_name_or_filename(self, location: str) -> dict[str, Any]:
        written: dict[str, Any] = super().load_config_from_module_name_or_filename(location)
        self.unknown = [name for name in written if name.islower() and not name.startswith("_") and name not in self.cfg.settings]
        return written


def main() -> None:
    os.environ.pop("GUNICORN_CMD_ARGS", None)  # the caller's shell may say something: the file is the whole configuration
    is_check = sys.argv[1:2] == ["check"]
    if is_check:
        del sys.argv[1]
    try:
        server = Server("%(prog)s [OPTIONS]", prog="gunicorn")
    except Exception as error:
        sys.exit(f"gunicorn does not accept its configuration: {error}")
    if is_check:
        sys.exit(f"gunicorn does not know: {', '.join(server.unknown)}" if server.unknown else 0)
    server.run()


if __name__ == "__main__":
    main()
