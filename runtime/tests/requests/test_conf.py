"""The runtime's own settings: read, or refused with the nearest valid name."""

from __future__ import annotations

import pytest
from django.core.exceptions import ImproperlyConfigured

from slipstream.conf import RuntimeSettings, read


def test_defaults_and_written_values() -> None:
    assert read({}) == RuntimeSettings(mode="respect")
    assert read({"MODE": "observe", "LIFETIMES": {"short": 60}}) == RuntimeSettings("observe", {"short": 60})


@pytest.mark.parametrize(
    ("written", "sentence"),
    [({"MODUS": "fresh"}, 'Did you mean "MODE"'), ({"X": 1}, "Known: MODE"), ({"MODE": "all"}, "observe, respect, fresh")],
)
def test_what_is_wrong_is_named(written: dict[str, object], sentence: str) -> None:
    with pytest.raises(ImproperlyConfigured, match=sentence):
        read(written)
