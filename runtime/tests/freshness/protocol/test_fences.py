"""The fence's rules one by one; how they hold together is explored in `test_model`."""

from slipstream.freshness.protocol import fences
from slipstream.freshness.protocol.fences import Fence

IN_SERVICE = fences.adopt(fences.start(10.0), "E1", 5, vacancy=10.0, token=10.0)


def test_started_accelerator_neither_stores_nor_serves_until_adopted() -> None:
    started = fences.start(10.0)
    assert not fences.may_insert(started, "E1", 5)
    assert not fences.may_hit(started, "E1", 5, 100.0, 10.0)
    assert Fence("E1", 5, 5, 10.0, 10.0) == IN_SERVICE


def test_page_certified_before_a_purge_is_not_stored_after_it() -> None:
    purged = fences.purge(IN_SERVICE, "E1", 7, token=11.0, now=11.0)
    assert not fences.may_insert(purged, "E1", 6)
    assert fences.may_insert(purged, "E1", 7)
    assert not fences.may_insert(purged, "E2", 7)


def test_purge_that_is_overtaken_does_not_lower_the_fence() -> None:
    purged = fences.purge(IN_SERVICE, "E1", 9, token=11.0, now=11.0)
    assert fences.purge(purged, "E1", 7, token=10.5, now=11.1) == purged


def test_young_page_is_no_hit_once_any_purge_passed() -> None:
    purged = fences.purge(IN_SERVICE, "E1", 7, token=11.0, now=11.0)
    assert fences.may_hit(purged, "E1", 7, 0.1, 11.0)
    assert not fences.may_hit(purged, "E1", 6, 0.1, 11.0)
    assert fences.may_hit(purged, "E1", 6, fences.YOUNG_SECONDS, 11.0)


def test_lease_counts_from_when_the_token_was_issued() -> None:
    late = fences.heartbeat(IN_SERVICE, token=10.5)
    assert fences.has_lease(late, 13.4)
    assert not fences.has_lease(late, 13.5)
    assert fences.heartbeat(late, token=9.0) == late
    assert fences.lease_ends_at(2.0) == 5.0


def test_purge_of_another_epoch_vacates_and_a_late_adoption_changes_nothing() -> None:
    vacant = fences.purge(IN_SERVICE, "E0", 900, token=11.0, now=11.0)
    assert vacant.epoch is None
    assert fences.adopt(vacant, "E1", 5, vacancy=10.0, token=11.0) == vacant
    again = fences.purge(vacant, "E1", 8, token=11.0, now=11.0)
    assert again.vacancy > vacant.vacancy
    assert fences.adopt(again, "E1", 7, vacancy=vacant.vacancy, token=11.0) == again
    assert fences.adopt(again, "E1", 9, vacancy=again.vacancy, token=11.0).epoch == "E1"


def test_vacancy_is_new_even_where_the_clock_goes_back() -> None:
    vacated = fences.vacate(IN_SERVICE, now=3.0)
    assert vacated.vacancy > IN_SERVICE.vacancy
    assert not fences.may_insert(vacated, "E1", 100)


def test_stamp_that_failed_is_purged_with_nobodys_epoch() -> None:
    assert fences.purge(IN_SERVICE, "", 0, token=11.0, now=11.0).epoch is None
