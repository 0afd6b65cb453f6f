"""The envelope: what is damaged, foreign or of another time is a miss, whatever it is."""

from __future__ import annotations

import pickle
import time
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from slipstream.caches.envelope import COMPRESSED, MISSING, encode, is_current, load, load_previous, seal

GENERATION = b"abcdefgh"
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@given(VALUES, st.integers(0, 100))
def test_what_goes_in_comes_out(value: Any, threshold: int) -> None:
    sealed = seal(*encode(value, threshold), GENERATION)
    found = load(sealed, GENERATION)
    assert found == value
    assert type(found) is type(value)
    assert is_current(sealed[:26], GENERATION, time.time() * 1000)


@given(VALUES, st.data())
@settings(max_examples=200)
def test_every_truncation_is_a_miss(value: Any, data: st.DataObject) -> None:
    sealed = seal(*encode(value, 50), GENERATION)
    length = data.draw(st.integers(0, len(sealed) - 1))
    assert load(sealed[:length], GENERATION) is MISSING
    assert load(sealed + b"x", GENERATION) is MISSING


@given(st.binary())
def test_noise_is_a_miss(noise: bytes) -> None:
    assert load(noise, GENERATION) is MISSING
    assert load_previous(noise, GENERATION) is MISSING
    assert load(seal(0, noise, GENERATION), b"otherone") is MISSING


def test_foreign_values_are_misses() -> None:
    for foreign in (b"12", pickle.dumps({"a": 1}), b"\xa2" + seal(*encode(1, 99), GENERATION)[1:]):
        assert load(foreign, GENERATION) is MISSING


def test_a_class_that_is_gone_is_a_miss() -> None:
    assert load(seal(0, b"cnowhere\nGone\n.", GENERATION), GENERATION) is MISSING


def test_large_values_are_compressed_when_it_helps() -> None:
    flags, payload = encode("word " * 10_000, 4096)
    assert flags & COMPRESSED
    assert len(payload) < 1000
    noise = bytes(range(256)) * 3
    assert encode(noise, 10_000) == (2, noise)


def test_an_expired_value_is_a_miss_and_a_previous_one() -> None:
    past, future = int(time.time() * 1000) - 1, int(time.time() * 1000) + 60_000
    flags, payload = encode({"a": 1}, 4096)
    assert load(seal(flags, payload, GENERATION, future), GENERATION) == {"a": 1}
    expired = seal(flags, payload, GENERATION, past)
    assert load(expired, GENERATION) is MISSING
    assert load_previous(expired, GENERATION) == {"a": 1}
    assert load_previous(expired, b"otherone") is MISSING
    assert not is_current(expired, GENERATION, time.time() * 1000)


def test_hosts_with_and_without_lz4_understand_or_miss_each_other(monkeypatch: Any) -> None:
    from slipstream.caches import envelope

    text = "word " * 10_000
    with_lz4 = seal(*encode(text, 4096), GENERATION)
    assert load(with_lz4, GENERATION) == text
    monkeypatch.setattr(envelope, "_lz4", None)
    without = seal(*encode(text, 4096), GENERATION)
    assert without[1] & envelope.ZLIB
    assert load(with_lz4, GENERATION) is MISSING
    monkeypatch.undo()
    assert load(without, GENERATION) == text
