"""Which rows are computed together: laws over random token lists."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twllm_engines._transformers._plan import Limits, Node, Row, count_tokens, merge_rows, pack_rows, plan_prefixes

Lists = list[list[int]]

# Few different tokens, so that beginnings are often shared.
token_lists = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), max_size=12)


def make_rows(lists: Lists) -> list[Row]:
    return [Row(tokens=np.array(tokens, dtype=np.int32), first_needed=len(tokens) - 1) for tokens in lists]


def leaves_of(node: Node) -> list[int]:
    return [*node.leaves, *(leaf for child in node.children for leaf in leaves_of(child))]


def nodes_of(node: Node) -> list[Node]:
    return [node, *(below for child in node.children for below in nodes_of(child))]


@given(token_lists)
def test_merge_rows_covers_each_row_by_one_that_begins_with_it(lists: Lists) -> None:
    merged, covers = merge_rows(make_rows(lists))
    for tokens, cover in zip(lists, covers, strict=True):
        assert merged[cover].tokens[: len(tokens)].tolist() == tokens
        assert merged[cover].first_needed <= len(tokens) - 1
    found = [row.tokens.tolist() for row in merged]
    assert found == sorted(found)
    assert not any(other[: len(one)] == one for one in found for other in found if other is not one)


@given(token_lists, st.integers(1, 12))
def test_plan_prefixes_any_rows_computes_each_row_once_and_never_more_tokens(lists: Lists, min_saved: int) -> None:
    rows, _ = merge_rows(make_rows(lists))
    root = plan_prefixes(rows, min_saved=min_saved)
    assert (root is None) == (not rows)
    if root is None:
        assert count_tokens(rows, root) == 0
        return
    assert sorted(leaves_of(root)) == list(range(len(rows)))
    assert count_tokens(rows, root) <= sum(len(row.tokens) for row in rows)
    for node in nodes_of(root):
        prefix = rows[node.row].tokens[: node.length].tolist()
        for leaf in leaves_of(node):
            assert rows[leaf].tokens[: node.length].tolist() == prefix
            # nothing that is needed lies inside a prefix
            assert rows[leaf].first_needed >= node.length
        assert all(child.start == node.length for child in node.children)


def test_plan_prefixes_two_subjects_computes_each_block_once() -> None:
    blocks = [[1] * 50, [2] * 50]
    rows, _ = merge_rows(make_rows([[*block, 5, question] for block in blocks for question in range(10, 20)]))
    root = plan_prefixes(rows, min_saved=32)
    assert root is not None
    assert [child.length for child in root.children] == [51, 51]
    assert count_tokens(rows, root) == 2 * 51 + 20


def test_plan_prefixes_long_chain_stays_shallow() -> None:
    rows, _ = merge_rows(make_rows([[1] * length + [2] * 50 for length in range(50, 1000, 50)]))
    root = plan_prefixes(rows, min_saved=1)
    assert root is not None

    def depth(node: Node) -> int:
        return 1 + max((depth(child) for child in node.children), default=0)

    assert depth(root) <= 5


@given(token_lists, st.integers(1, 30), st.integers(1, 30), st.integers(1, 4), st.integers(1, 30))
def test_pack_rows_any_limits_are_kept_or_a_row_comes_alone(
    lists: Lists, read: int, held: int, needed: int, enough: int
) -> None:
    rows = make_rows(lists)
    limits = Limits(max_read=read, max_held=held, max_needed=needed, enough=enough)
    batches = list(pack_rows(rows, range(len(rows)), prefix=0, limits=limits))
    assert sorted(leaf for batch in batches for leaf in batch) == list(range(len(rows)))
    for batch in batches:
        lengths = [len(rows[leaf].tokens) for leaf in batch]
        assert lengths == sorted(lengths, reverse=True)
        if len(batch) > 1:
            assert len(batch) * lengths[0] <= min(read, held)
            assert len(batch) <= needed


def test_pack_rows_enough_tokens_leave_short_rows_to_the_next_batch() -> None:
    rows = make_rows([[1] * 40, [1] * 39, [1] * 5, [1] * 4])
    limits = Limits(max_read=1000, max_held=1000, max_needed=10, enough=80)
    assert list(pack_rows(rows, range(4), prefix=0, limits=limits)) == [(0, 1), (2, 3)]
