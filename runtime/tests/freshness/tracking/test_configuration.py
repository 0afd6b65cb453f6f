"""Wrong settings are told at the start, in a sentence."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from slipstream import queries
from slipstream.freshness import configuration
from slipstream.freshness.activation import activate


def test_unknown_keys_and_answers() -> None:
    with pytest.raises(ImproperlyConfigured, match=r'"STORES"\] is not a setting of slipstream. Did you mean "STORE"'):
        configuration.read({"STORES": "redis://"})
    with pytest.raises(ImproperlyConfigured, match=r"LOST_STORE.*write one of refuse, bounded"):
        configuration.read({"LOST_STORE": "ignore"})
    assert configuration.read({"CACHED_MODELS": ["*"]}).cached_models == ("*",)


def test_models_that_do_not_exist(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = configuration.FreshnessSettings(store="x", cached_models=("newsstand.Article", "newsstand.*", "newsstand.Artikel"))
    monkeypatch.setattr(queries, "freshness_settings", lambda: chosen)
    with pytest.raises(ImproperlyConfigured, match=r"names newsstand\.Artikel, which is no model"):
        activate()
