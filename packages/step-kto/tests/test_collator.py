import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from step_kto import _forward
from step_kto._collator import StepKTOCollator
from step_kto._config import LogitsPath
from step_kto._forward import ChunkedTokenLogps, add_scoring, check_padding_free, score_view, scoring_mode
from step_kto._prepare import FILLER_PLACE, Example, prepare_rows
from step_kto._toy_tokenizer import make_toy_tokenizer
from step_kto._views import View
from twllm_types import ConfigError

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import config, moved, small_model, solutions

VIEWS = [
    View(prompt_ids=(5, 6), completion_ids=(7, 8, 9), step_ids=(0, 0, 1), num_steps=2),
    View(prompt_ids=(4,), completion_ids=(10,), step_ids=(0,), num_steps=1),
]


def examples(tmp_path):
    rows = prepare_rows(
        solutions(), tokenizer=make_toy_tokenizer(), config=config(tmp_path), name="train", model_max_tokens=None
    )
    return rows, [rows[place] for place in (0, 1, 5)]


def ready(logits_path: LogitsPath = "chunked"):
    model = moved(small_model()).eval()
    add_scoring(model, logits_path=logits_path)
    return model


def test_padded_view_points_at_the_token_before_each_completion_token():
    batch = StepKTOCollator(pad_id=0, padding_free=False).view_batch(VIEWS)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9], [4, 10, 0, 0, 0]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1, 1, 1], [1, 1, 0, 0, 0]]
    assert batch["source_N"].tolist() == [1, 2, 3, 5]
    assert batch["target_N"].tolist() == [7, 8, 9, 10]
    assert batch["slot_N"].tolist() == [0, 1, 2, 3]
    assert batch["step_ids_BC"].tolist() == [[0, 0, 1], [0, -1, -1]]
    assert batch["present_BH"].tolist() == [[True, True], [True, False]]


def test_packed_view_starts_positions_again_with_each_row():
    batch = StepKTOCollator(pad_id=0, padding_free=True).view_batch(VIEWS)
    assert batch["input_ids"].tolist() == [[5, 6, 7, 8, 9, 4, 10]]
    assert batch["position_ids"].tolist() == [[0, 1, 2, 3, 4, 0, 1]]
    assert batch["source_N"].tolist() == [1, 2, 3, 5]
    assert "attention_mask" not in batch


def test_batch_holds_labels_padded_with_absent_steps(tmp_path):
    _, chosen = examples(tmp_path)
    batch = StepKTOCollator(pad_id=0, padding_free=False)(chosen)
    assert batch["rows_B"].tolist() == [0, 1, 5]
    assert batch["step_labels_BH"].tolist() == [[0, -1, -2], [1, -1, 1], [0, -1, 0]]
    assert batch["outcome_labels_B"].tolist() == [0, 1, 0]
    assert batch["step_labels_BH"].dtype == torch.int8


def test_batch_of_one_filler_scores_nothing(tmp_path):
    rows, _ = examples(tmp_path)
    batch = StepKTOCollator(pad_id=0, padding_free=False)([rows[FILLER_PLACE]])
    with torch.no_grad():
        scores = score_view(ready(), batch["matched"])
    assert scores.tolist() == [[0.0]]
    assert not batch["matched"]["present_BH"].any()


def test_reference_sums_stand_beside_their_steps():
    example = Example(
        place=0, views={"matched": VIEWS[0]}, step_codes=(1, 0), outcome_code=1, ref_sums={"matched": (-1.5, -2.5)}
    )
    batch = StepKTOCollator(pad_id=0, padding_free=False)([example])
    assert batch["matched"]["ref_BH"].tolist() == [[-1.5, -2.5]]


@pytest.mark.parametrize("padding_free", [False, True])
@pytest.mark.parametrize("logits_path", ["chunked", "model"])
def test_scores_equal_plain_log_softmax_row_by_row(tmp_path, padding_free, logits_path):
    _, chosen = examples(tmp_path)
    batch = StepKTOCollator(pad_id=0, padding_free=padding_free)(chosen)
    model = ready(logits_path)
    with torch.no_grad():
        scores = score_view(model, batch["matched"])
        for row, example in enumerate(chosen):
            view = example.views["matched"]
            ids = torch.tensor([view.prompt_ids + view.completion_ids])
            logps = model(input_ids=ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None]).squeeze(-1)
            expected = logps[len(view.prompt_ids) - 1 :]
            torch.testing.assert_close(scores[row, : len(expected)], expected, rtol=1e-5, atol=1e-5)
            assert not scores[row, len(expected) :].any()


def test_scoring_leaves_the_ordinary_forward_alone():
    plain, extended = moved(small_model()).eval(), ready()
    ids = torch.tensor([[5, 6, 7, 8]])
    assert torch.equal(plain(input_ids=ids).logits, extended(input_ids=ids).logits)
    assert plain.generate(ids, max_new_tokens=3, do_sample=False).tolist() == (
        extended.generate(ids, max_new_tokens=3, do_sample=False).tolist()
    )


def test_scoring_of_a_copied_model_uses_the_copy():
    import copy

    model = ready()
    twin = copy.deepcopy(model)
    moved(twin, by=0.3, seed=1)
    ids = torch.tensor([[5, 6, 7, 8]])
    with torch.no_grad():
        assert not torch.equal(model(input_ids=ids).logits, twin(input_ids=ids).logits)


@pytest.mark.parametrize("limit", [1 << 24, 40, 1])
@pytest.mark.parametrize("bias", [False, True])
def test_chunked_scores_pass_the_numerical_gradient(monkeypatch, limit, bias):
    monkeypatch.setattr(_forward, "MAX_LOGITS", limit)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(5, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    weight = torch.randn(8, 3, generator=generator, dtype=torch.float64, requires_grad=True)
    offset = torch.randn(8, generator=generator, dtype=torch.float64, requires_grad=True) if bias else None
    target = torch.tensor([0, 7, 3, 3, 1])
    given = (hidden, weight) if offset is None else (hidden, weight, offset)
    assert torch.autograd.gradcheck(lambda h, w, b=None: ChunkedTokenLogps.apply(h, w, b, target), given)


@pytest.mark.parametrize("limit", [1 << 24, 40])
def test_chunked_scores_of_half_precision_stay_near_the_exact_ones(monkeypatch, limit):
    monkeypatch.setattr(_forward, "MAX_LOGITS", limit)
    generator = torch.Generator().manual_seed(0)
    hidden = torch.randn(5, 16, generator=generator).bfloat16().requires_grad_()
    weight = torch.randn(20, 16, generator=generator).bfloat16().requires_grad_()
    target = torch.tensor([0, 7, 3, 3, 1])
    ChunkedTokenLogps.apply(hidden, weight, None, target).sum().backward()
    exact_hidden, exact_weight = (given.detach().double().requires_grad_() for given in (hidden, weight))
    (exact_hidden @ exact_weight.T).log_softmax(-1).gather(-1, target[:, None]).sum().backward()
    assert hidden.grad is not None
    assert weight.grad is not None
    torch.testing.assert_close(hidden.grad.double(), exact_hidden.grad, rtol=0.05, atol=0.05)
    torch.testing.assert_close(weight.grad.double(), exact_weight.grad, rtol=0.05, atol=0.05)


def test_chunked_scores_follow_autocast():
    hidden, weight = torch.randn(4, 8), torch.randn(6, 8, requires_grad=True)
    target = torch.tensor([0, 1, 2, 3])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logps = ChunkedTokenLogps.apply(hidden, weight, None, target)
    assert logps.dtype == torch.float32
    logps.sum().backward()
    assert weight.grad is not None
    expected = (hidden.bfloat16() @ weight.detach().bfloat16().T).float().log_softmax(-1).gather(-1, target[:, None])
    torch.testing.assert_close(logps.detach(), expected.squeeze(-1), rtol=1e-2, atol=1e-2)


def test_frozen_head_gets_no_gradient():
    hidden, weight = torch.randn(4, 8, requires_grad=True), torch.randn(6, 8)
    ChunkedTokenLogps.apply(hidden, weight, None, torch.tensor([0, 1, 2, 3])).sum().backward()
    assert weight.grad is None
    assert hidden.grad is not None


def test_model_that_changes_its_logits_is_refused_piece_by_piece_and_scored_whole():
    model = small_model()
    model.config.final_logit_softcapping = 30.0
    with pytest.raises(ConfigError, match=r"final_logit_softcapping.*logits_path='model'"):
        add_scoring(model, logits_path="chunked")
    add_scoring(model, logits_path="model")


def test_head_that_is_no_linear_layer_is_refused():
    model = small_model()
    model.set_output_embeddings(nn.Sequential(model.get_output_embeddings()))
    with pytest.raises(ConfigError, match="its head is Sequential"):
        add_scoring(model, logits_path="chunked")


def test_padding_free_is_refused_where_attention_may_mix_rows():
    model = small_model()
    check_padding_free(model)
    model.config.mamba_d_conv = 4
    with pytest.raises(ConfigError, match="padding_free is not known"):
        check_padding_free(model)


def test_scoring_mode_gives_the_former_mode_back():
    model = small_model().train()
    with scoring_mode(model):
        assert not model.training
        assert not torch.is_grad_enabled()
    assert model.training
