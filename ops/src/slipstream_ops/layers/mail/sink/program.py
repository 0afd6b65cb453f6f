"""The program of the mail sink: SMTP in, one .eml file a mail; addresses and subjects are never logged."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import signal
import time
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

KEPT_MAILS = 1000
LARGEST_BYTES = 35 << 20


class Keeper:
    """Stores each mail with mode 0600 and removes the oldest beyond ``KEPT_MAILS``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count(1)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        path = self._folder / f"{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(self._numbers):06d}.eml"
        try:
            beside = path.with_suffix(".new")
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
                stream.write(b"X-Slipstream-Recipients: %d\r\n" % len(envelope.rcpt_tos))
                stream.write(content)
            beside.replace(path)
        except OSError as error:
            log(event="refused", reason=error.strerror or str(error))
            return "452 Insufficient system storage"
        self._remove_oldest()
        log(event="caught", file=path.name, bytes=len(content), recipients=len(envelope.rcpt_tos))
        return "250 Caught; it goes no further"

    def _remove_oldest(self) -> None:
        mails = sorted(self._folder.glob("*.eml"))
        for path in mails[: max(0, len(mails) - KEPT_MAILS)]:
            path.unlink(missing_ok=True)


def log(**fields: object) -> None:
    print(json.dumps({"time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "layer": "mail", **fields}), flush=True)


async def serve(address: str, port: int, folder: Path) -> None:
    """Listen until SIGTERM or SIGINT."""
    folder.mkdir(parents=True, exist_ok=True)
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    keeper = Keeper(folder)

    def connection() -> SMTP:
        return SMTP(keeper, data_size_limit=LARGEST_BYTES, enable_SMTPUTF8=True, loop=loop)

    server = await loop.create_server(connection, address, port)
    async with server:
        await ended.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description="Catch every mail into FOLDER; deliver none.")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    asyncio.run(serve(given.address, given.port, given.folder))


if __name__ == "__main__":
    main()
