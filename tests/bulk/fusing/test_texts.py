import re
from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st

from fathom_async._bulk.fusing.texts import folded, length_in_url, one_of
from fathom_async._reports.filters import Filter, filters_to_json

TEXTS = st.text(st.characters(codec="utf-8"), max_size=8) | st.text(
    st.sampled_from(' !"$()*+,-./:?@A[\\]^_`a{|}~\x7fé\n\x00'), max_size=6
)


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=5), TEXTS)
def test_a_pattern_holds_for_its_texts_and_hardly_any_other(texts: list[str], other: str) -> None:
    pattern = one_of(texts)
    assert all(re.search(pattern, text) for text in texts)
    found = re.search(pattern, other) is not None
    assert found is (other in texts or other.removesuffix("\n") in texts)


@given(st.lists(TEXTS.filter(bool), min_size=1, max_size=5))
def test_lengths_add_up_to_that_of_the_pattern(texts: list[str]) -> None:
    sent = filters_to_json([Filter("pathname", "matching", one_of(texts))])
    bare = filters_to_json([Filter("pathname", "matching", "^()$")])
    assert len(quote(sent, safe="")) - len(quote(bare, safe="")) <= sum(map(length_in_url, texts))


def test_texts_that_a_forgiving_collation_takes_for_one_are_folded_alike() -> None:
    assert len({folded(text) for text in ("/É a", "/e\u0301 A", "/E A ", "/é a\n")}) == 1
    assert folded("/a") != folded("/a/")
    assert folded(None) is None
