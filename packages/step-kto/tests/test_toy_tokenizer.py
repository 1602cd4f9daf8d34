from string import printable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from step_kto._arithmetic import Split, make_arithmetic_problems
from step_kto._toy_model import make_toy_model, toy_model_config
from step_kto._toy_tokenizer import make_toy_tokenizer, toy_vocabulary

TOKENIZER = make_toy_tokenizer()
ASCII = "".join(char for char in printable if char not in "\t\r\x0b\x0c")


@given(st.text(alphabet=ASCII, max_size=60))
def test_toy_tokenizer_ascii_comes_back_and_offsets_cover_it(text: str) -> None:
    encoded = TOKENIZER(text, return_offsets_mapping=True)
    assert TOKENIZER.decode(encoded.input_ids) == text
    assert "".join(text[start:end] for start, end in encoded.offset_mapping) == text


def test_toy_tokenizer_task_is_short_and_known() -> None:
    for problem in make_arithmetic_problems(40, split=Split.TRAIN, seed=0):
        text = problem.prompt + "".join(problem.steps)
        ids = TOKENIZER(text).input_ids
        assert TOKENIZER.decode(ids) == text
        assert len(ids) < len(text) * 0.6
        assert TOKENIZER.unk_token_id not in ids


def test_toy_tokenizer_other_script_is_unknown() -> None:
    assert TOKENIZER("題").input_ids == [TOKENIZER.unk_token_id]


def test_toy_tokenizer_saved_and_loaded_is_the_same(tmp_path) -> None:
    from transformers import AutoTokenizer

    TOKENIZER.save_pretrained(tmp_path)
    loaded = AutoTokenizer.from_pretrained(tmp_path)
    text = "## Step 1: 12 + 7 = 19\n\\boxed{19}"
    assert loaded(text).input_ids == TOKENIZER(text).input_ids
    assert loaded.decode(loaded(text).input_ids) == text


def test_toy_vocabulary_has_no_token_twice() -> None:
    vocabulary = toy_vocabulary()
    assert len(set(vocabulary)) == len(vocabulary) == len(TOKENIZER)


def test_toy_model_seed_decides_the_weights_and_nothing_else() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first, again, other = make_toy_model(1), make_toy_model(1), make_toy_model(2)
    assert torch.equal(torch.rand(3), expected)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.lm_head.weight, other.lm_head.weight)


def test_toy_model_default_size_is_between_one_and_five_million() -> None:
    assert 1_000_000 <= sum(weight.numel() for weight in make_toy_model(0).parameters()) <= 5_000_000


@pytest.mark.parametrize("hidden", [32, 64])
def test_toy_model_other_configuration_is_taken(hidden: int) -> None:
    model = make_toy_model(0, toy_model_config(hidden_size=hidden, num_layers=1))
    assert model.config.hidden_size == hidden
