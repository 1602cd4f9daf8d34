"""Near-duplicates: exactly those of the definition, found by an index instead of all pairs."""

from hypothesis import given
from hypothesis import strategies as st

from icda import NearDuplicates

TEXTS = st.lists(st.text("abc 我的卡", max_size=14), max_size=12)


def grams(text: str) -> set[str]:
    return {text[start : start + 3] for start in range(len(text) - 2)} if len(text) > 2 else ({text} - {""})


def jaccard(first: str, second: str) -> float:
    one, other = grams(first), grams(second)
    return len(one & other) / len(one | other) if one | other else 0.0


@given(TEXTS, st.sampled_from([0.2, 0.5, 0.75, 0.9, 1.0]), st.booleans())
def test_near_duplicates_finds_what_all_pairs_find(texts, threshold, known):
    index = NearDuplicates(threshold, common=texts if known else ())
    for place, text in enumerate(texts):
        near = [row for row in range(place) if jaccard(texts[row], text) >= threshold - 1e-9]
        found = index.find(text, group="g")
        assert (None if found is None else found.id) == (str(near[0]) if near else None)
        if found is not None:
            assert abs(found.similarity - jaccard(texts[near[0]], text)) < 1e-12
        index.add(text, group="g", row_id=str(place))


def test_near_duplicates_empty_text_is_near_to_none():
    index = NearDuplicates(0.5)
    index.add("", group="a", row_id="1")
    assert index.find("", group="a") is None


def test_near_duplicates_groups_are_apart_but_for_what_belongs_to_all():
    index = NearDuplicates(0.9)
    index.add("where is it", group="a", row_id="1")
    assert index.find("where is it", group="b") is None
    index.add("where is it", group=None, row_id="2")
    found = index.find("where is it", group="b")
    assert found is not None
    assert found.id == "2"
