"""Whoever stores whole pages must be told of each stamp before commit returns; there is no accelerator here yet."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from slipstream.freshness.protocol.stamps import Proof


class Accelerators(Protocol):
    """The serial purgers of all accelerators in rotation."""

    def purge(self, proof: Proof | None, tags: Collection[str]) -> bool:
        """Purge everywhere; True once every accelerator acknowledged or its lease ended.

        `proof` None: the store could not be reached to stamp, so the accelerators must be vacated (epoch ""). False leaves the
        purge to the daemon.
        """
        ...

    def vacate(self) -> None:
        """Empty all: the epoch changed."""
        ...


class NoAccelerators:
    """A site without accelerators of its own: nothing to tell."""

    def purge(self, proof: Proof | None, tags: Collection[str]) -> bool:
        return True

    def vacate(self) -> None:
        return None


_accelerators: Accelerators = NoAccelerators()


def accelerators() -> Accelerators:
    return _accelerators


def use_accelerators(chosen: Accelerators) -> None:
    global _accelerators
    _accelerators = chosen
