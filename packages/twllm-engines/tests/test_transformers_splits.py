import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from twllm_engines._transformers._splits import Ids, Split, split_continuations
from twllm_types import EngineFailure, FailureKind


def ids(*tokens: int) -> Ids:
    return np.array(tokens, dtype=np.int32)


def split(
    context: Ids, *wholes: Ids, num_bos: int = 0, max_read: int | None = None, cut_left: bool = False
) -> list[Split | EngineFailure]:
    return split_continuations(context, wholes, num_bos=num_bos, max_read=max_read, cut_left=cut_left)


def test_split_context_is_a_beginning_scores_what_follows() -> None:
    (found,) = split(ids(1, 2), ids(1, 2, 3, 4))
    assert isinstance(found, Split)
    assert (found.start, found.merged, found.num_cut) == (2, False, 0)


def test_split_one_option_merges_with_the_context_all_start_at_the_same_token() -> None:
    # "(A" is one token (8), "(B" is two (1 4): the context ends in "(" (1).
    merged, plain = split(ids(6, 7, 1), ids(6, 7, 8), ids(6, 7, 1, 4))
    assert isinstance(merged, Split)
    assert isinstance(plain, Split)
    assert merged.start == plain.start == 2
    assert merged.merged
    assert plain.merged


def test_split_nothing_before_the_first_token_is_a_failure() -> None:
    (found,) = split(ids(), ids(1, 2))
    assert isinstance(found, EngineFailure)
    assert found.kind is FailureKind.BAD_REQUEST
    assert "bos: always" in found.message


def test_split_continuation_without_a_token_is_a_failure() -> None:
    (found,) = split(ids(1, 2), ids(1, 2))
    assert isinstance(found, EngineFailure)
    assert found.kind is FailureKind.BAD_REQUEST


def test_split_too_long_is_a_failure_with_both_lengths() -> None:
    fits, long = split(ids(1, 2, 3), ids(1, 2, 3, 4), ids(1, 2, 3, 4, 5), max_read=3)
    assert isinstance(fits, Split)
    assert isinstance(long, EngineFailure)
    assert long.kind is FailureKind.CONTEXT_LENGTH
    assert "4 tokens" in long.message
    assert "at most 3" in long.message


def test_split_cut_left_keeps_the_opening_and_cuts_all_continuations_alike() -> None:
    short, long = split(
        ids(0, 1, 2, 3), ids(0, 1, 2, 3, 4), ids(0, 1, 2, 3, 5, 6), num_bos=1, max_read=4, cut_left=True
    )
    assert isinstance(short, Split)
    assert isinstance(long, Split)
    assert short.tokens.tolist() == [0, 2, 3, 4]
    assert long.tokens.tolist() == [0, 2, 3, 5, 6]
    assert short.start == long.start == 3
    assert short.num_cut == long.num_cut == 1


def test_split_cut_left_of_a_continuation_longer_than_the_model_is_a_failure() -> None:
    found = split(ids(1, 2), ids(1, 2, 3, 4, 5, 6), ids(1, 2, 3), max_read=3, cut_left=True)
    assert all(isinstance(one, EngineFailure) and one.kind is FailureKind.CONTEXT_LENGTH for one in found)


tokens = st.lists(st.integers(0, 3), min_size=1, max_size=6)


@given(tokens, st.lists(tokens, min_size=1, max_size=4))
def test_split_any_continuations_share_their_context_and_their_start(
    context: list[int], wholes: list[list[int]]
) -> None:
    found = [one for one in split(ids(*context), *(ids(*whole) for whole in wholes)) if isinstance(one, Split)]
    assert len({one.start for one in found}) <= 1
    assert len({tuple(one.tokens[: one.start].tolist()) for one in found}) <= 1
    assert all(one.merged == (one.start < len(context)) for one in found)
