"""Subjects: an answer is found by every query that it may contain."""

import random
from collections import Counter

import pytest

from fathom_async import EventQuery, Filter, PageviewQuery
from fathom_async._cache.entry import MOST_SUBJECTS, query_of, site_of, subject_of, subjects_of
from fathom_async._reports.implication import implies
from tests.reports.test_implication_properties import source, target

pytestmark = pytest.mark.filterwarnings("ignore::fathom_async.UnsortedLimitWarning")

TOTAL = PageviewQuery("CDBUGS", aggregates=["pageviews"])


def test_an_answer_is_found_under_one_of_the_subjects_of_what_it_may_contain() -> None:
    chance, found = random.Random(7), Counter[bool]()
    for _ in range(4_000):
        known = source(chance)
        asked = target(chance, known)
        is_found = subject_of("space", known) in subjects_of("space", asked)
        found[is_found] += 1
        assert is_found or not implies(known, asked)
    assert min(found.values()) > 20


def test_subjects_tell_accounts_sites_events_and_time_zones_apart() -> None:
    queries = [TOTAL, TOTAL.replace(site_id="OTHER"), TOTAL.replace(timezone="UTC")]
    events = [EventQuery("CDBUGS", name, aggregates=["value"]) for name in ("buy", "call")]
    subjects = {subject_of(space, query) for query in (*queries, *events) for space in ("one", "two")}
    assert len(subjects) == 10
    assert subject_of("one", TOTAL).startswith(site_of("one", "CDBUGS"))
    assert not subject_of("one", queries[1]).startswith(site_of("one", "CDBUGS"))


def test_a_query_has_few_subjects() -> None:
    names = ("pathname", "entry_page", "exit_page", "hostname", "ref", "utm_term", "utm_source")
    filters = [Filter.from_dict({"property": name, "operator": "is", "value": "x"}) for name in names]
    assert len(subjects_of("space", TOTAL)) == 1
    assert len(subjects_of("space", TOTAL.replace(filters=filters[:2]))) == 4
    assert len(subjects_of("space", TOTAL.replace(filters=filters))) == MOST_SUBJECTS


def test_a_query_that_is_not_known_any_more_is_none() -> None:
    assert query_of('{"entity": "pageview", "entity_id": "A", "aggregates": "pageviews"}') is not None
    assert query_of('{"entity": "pageview", "entity_id": "A", "aggregates": "smiles"}') is None
    assert query_of("{}") is None
