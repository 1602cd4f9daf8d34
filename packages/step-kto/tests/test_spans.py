"""Tokens and their steps, with merges over the borders of steps and of the prompt."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import BPE
from transformers import PreTrainedTokenizerFast

from step_kto._spans import check_length, keep_first_steps, num_steps_within, step_token_ids
from step_kto._steps import segment_steps
from twllm_types import ConfigError, DataError

EOS = 999


def byte_level(*merged: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE that knows the merged texts besides single bytes, as Llama 3 and Qwen do."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {letter: place for place, letter in enumerate(letters)}
    merges: list[tuple[str, str]] = []
    for text in merged:
        ((visible, _),) = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False).pre_tokenize_str(text)
        token = visible[0]
        for letter in visible[1:]:
            if (token, letter) not in merges:
                merges.append((token, letter))
            token += letter
            vocabulary.setdefault(token, len(vocabulary))
    raw = Tokenizer(BPE(vocab=vocabulary, merges=merges))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    raw.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=raw)


def prefixing() -> PreTrainedTokenizerFast:
    """A tokenizer that puts a space in front of every text, as Llama 2's does."""
    letters = ["▁", *"abcdefghijklmnopqrstuvwxyz:.\n"]
    vocabulary = {letter: place for place, letter in enumerate(letters)}
    raw = Tokenizer(BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always", split=False)
    return PreTrainedTokenizerFast(tokenizer_object=raw)


PLAIN = byte_level()
MERGING = byte_level(".\n\n", "\n\n", "\n#", "##", " S", "12")


def texts_of(tokenizer, solution):
    return [tokenizer.decode(solution.completion_ids[start:end]) for start, end in solution.spans]


def test_token_over_a_border_belongs_to_the_step_it_ends():
    solution = step_token_ids(MERGING, "q", ("a.\n\n", "b.\n\n", "c"), eos_id=None)
    assert [len(MERGING.decode([token])) for token in solution.completion_ids] == [1, 3, 1, 3, 1]
    assert solution.step_ids == (0, 0, 1, 1, 2)
    assert texts_of(MERGING, solution) == ["a.\n\n", "b.\n\n", "c"]


def test_token_that_straddles_a_border_goes_with_its_first_visible_character():
    # ".\n\n" reaches one character into the second step, "\n#" begins in the first one
    solution = step_token_ids(MERGING, "q", ("a.\n", "\nb\n", "##c"), eos_id=None)
    assert texts_of(MERGING, solution) == ["a.\n\n", "b", "\n##c"]


def test_white_space_token_belongs_to_the_step_of_its_first_character():
    solution = step_token_ids(MERGING, "q", ("a\n", "\nb"), eos_id=None)
    assert texts_of(MERGING, solution) == ["a\n\n", "b"]


def test_bytes_of_one_character_stay_in_one_step():
    solution = step_token_ids(PLAIN, "題", ("三\n", "四"), eos_id=None)
    assert solution.step_ids == (0, 0, 0, 0, 1, 1, 1)


def test_end_of_sequence_is_on_the_last_step_only():
    with_end = step_token_ids(PLAIN, "q", ("a\n", "b"), eos_id=EOS)
    without = step_token_ids(PLAIN, "q", ("a\n", "b"), eos_id=None)
    assert with_end.completion_ids == (*without.completion_ids, EOS)
    assert with_end.step_ids == (*without.step_ids, 1)
    assert with_end.completion_ids.count(EOS) == 1


def test_end_of_sequence_inside_of_a_step_is_refused():
    tokenizer = byte_level()
    end = tokenizer("!")["input_ids"][0]
    with pytest.raises(DataError, match="step 2 holds the end-of-sequence token as text"):
        step_token_ids(tokenizer, "q!", ("a\n", "b!"), eos_id=end)


def test_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(DataError, match=r"character 4 of prompt and completion is a lone surrogate \(U\+D800\)"):
        step_token_ids(PLAIN, "題", ("ab\ud800\n", "c"), eos_id=None)


def test_begin_of_sequence_precedes_the_prompt():
    solution = step_token_ids(PLAIN, "q", ("a",), eos_id=None, bos_id=7)
    assert solution.prompt_ids == (7, *PLAIN("q")["input_ids"])
    assert solution.num_tokens == 3


@given(
    text=st.text(alphabet="a1 2#.\nS題", min_size=1, max_size=50),
    by=st.sampled_from(["blank-lines", "markers", "numbered"]),
    prompt=st.text(alphabet="q 12\n#", max_size=8),
    eos_id=st.sampled_from([EOS, None]),
)
def test_spans_joined_are_the_completion_and_decode_to_the_text(text, by, prompt, eos_id):
    if not text.strip():
        return
    steps = segment_steps(text, by)
    solution = step_token_ids(MERGING, prompt, steps, eos_id=eos_id)
    ids = [token for start, end in solution.spans for token in solution.completion_ids[start:end]]
    assert tuple(ids) == solution.completion_ids
    assert len(solution.spans) == solution.num_steps == len(steps)
    assert all(end > start for start, end in solution.spans)
    assert solution.prompt_ids == tuple(MERGING(prompt)["input_ids"])
    assert MERGING.decode([token for token in solution.completion_ids if token != EOS]) == text
    for step, (start, end) in zip(steps, solution.spans, strict=True):
        tokens = [token for token in solution.completion_ids[start:end] if token != EOS]
        # white space may move over a border with its token, anything else may not
        assert "".join(str(MERGING.decode(tokens)).split()) == "".join(step.split())


def test_border_to_the_prompt_is_joint_where_the_tokens_agree():
    solution = step_token_ids(MERGING, "q\n", ("a\n", "b"), eos_id=None)
    assert solution.border == "joint"


def test_border_to_the_prompt_is_apart_where_the_tokenizer_merges_over_it():
    solution = step_token_ids(MERGING, "1", ("2+3\n", "so 5"), eos_id=None)
    assert solution.border == "apart"
    assert solution.prompt_ids == tuple(MERGING("1")["input_ids"])
    assert texts_of(MERGING, solution) == ["2+3\n", "so 5"]


def test_prefixing_tokenizer_puts_no_second_space_before_the_answer():
    tokenizer = prefixing()
    solution = step_token_ids(tokenizer, "q:", (" a b.\n", "c"), eos_id=None)
    tokens = tokenizer.convert_ids_to_tokens(list(solution.completion_ids))
    assert tokens == ["▁", "a", "▁", "b", ".", "\n", "c"]
    assert solution.step_ids == (0, 0, 0, 0, 0, 0, 1)
    assert tokenizer.convert_ids_to_tokens(list(solution.prompt_ids)) == ["▁", "q", ":"]


def test_prefixing_tokenizer_without_prompt_gives_its_space_to_the_first_step():
    solution = step_token_ids(prefixing(), "", ("a\n", "b"), eos_id=None)
    assert solution.step_ids == (0, 0, 0, 1)


def test_step_without_token_of_its_own_is_refused():
    with pytest.raises(DataError, match=r"step 2 '2' has no token of its own"):
        step_token_ids(MERGING, "q", ("1", "2", " a"), eos_id=None)


def test_last_step_without_token_is_refused_also_with_end_of_sequence():
    with pytest.raises(DataError, match=r"step 2 '2' has no token of its own"):
        step_token_ids(MERGING, "q", ("1", "2"), eos_id=EOS)


@pytest.mark.parametrize(("steps", "message"), [((), "has no step"), (("a", " \n"), "step 2 is blank")])
def test_missing_and_blank_steps_are_refused(steps, message):
    with pytest.raises(DataError, match=message):
        step_token_ids(PLAIN, "q", steps, eos_id=None)


class SlowTokenizer:
    """A tokenizer without offsets."""

    is_fast = False

    def __call__(self, text, **_options):
        raise AssertionError(f"asked for the tokens of {text!r}")


class BackwardTokenizer:
    """A tokenizer whose offsets run backwards."""

    is_fast = True

    def __call__(self, text, **_options):
        places = range(len(text))
        return {"input_ids": list(places), "offset_mapping": [(place, place + 1) for place in reversed(places)]}


class MarkingTokenizer:
    """A tokenizer that puts a token without characters before and behind what it reads."""

    is_fast = True

    def __call__(self, text, **_options):
        places = range(len(text))
        offsets = [(-1, -1), *[(place, place + 1) for place in places], (len(text), len(text))] if text else []
        return {"input_ids": list(range(len(offsets))), "offset_mapping": offsets}


def test_token_without_characters_belongs_to_the_step_beside_it():
    assert step_token_ids(MarkingTokenizer(), "", ("a\n", "b"), eos_id=None).step_ids == (0, 0, 0, 1, 1)


def test_tokenizer_without_offsets_is_refused():
    with pytest.raises(ConfigError, match="knows no character offsets"):
        step_token_ids(SlowTokenizer(), "q", ("a",), eos_id=None)


def test_tokenizer_with_offsets_that_run_backwards_is_refused():
    with pytest.raises(DataError, match="run backwards"):
        step_token_ids(BackwardTokenizer(), "", ("a\n", "b\n"), eos_id=None)


def test_solution_longer_than_allowed_is_refused_and_never_cut():
    solution = step_token_ids(PLAIN, "qqq", ("ab", "cde"), eos_id=EOS)
    check_length(solution, max_length=9, where="rows.jsonl:4")
    with pytest.raises(DataError, match=r"rows.jsonl:4: prompt \(3 tokens\) and completion \(6\) .* max_length 8"):
        check_length(solution, max_length=8, where="rows.jsonl:4")


def test_whole_steps_can_be_kept_with_the_end_of_sequence_dropped():
    solution = step_token_ids(PLAIN, "qqq", ("ab", "cde"), eos_id=EOS)
    assert [num_steps_within(solution, max_length=length) for length in (3, 4, 5, 8, 9)] == [0, 0, 1, 1, 2]
    kept = keep_first_steps(solution, 1)
    assert (kept.completion_ids, kept.step_ids, kept.num_steps) == (solution.completion_ids[:2], (0, 0), 1)
    assert keep_first_steps(solution, 2) == solution
    with pytest.raises(DataError, match="cannot keep 0 of 2 steps"):
        keep_first_steps(solution, 0)
