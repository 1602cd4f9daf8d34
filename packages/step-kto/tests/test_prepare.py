import json
import sys
from pathlib import Path

import pytest
import torch
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from step_kto._labels import LabelCode
from step_kto._pairing import draw_partners, draw_steps
from step_kto._prepare import FILLER_PLACE, prepare_rows
from step_kto._sampler import EpochSampler
from step_kto._toy_tokenizer import make_toy_tokenizer
from step_kto._views import View, mismatched_view, sampled_view
from twllm_types import ConfigError, DataError, StepwiseSolution

sys.path.insert(0, str(Path(__file__).parent / "importable"))

from small_runs import config, solutions

TOKENIZER = make_toy_tokenizer()


def prepared(tmp_path, rows=None, model_max_tokens=None, **changes):
    check = changes.pop("check_both_classes", True)
    return prepare_rows(
        solutions() if rows is None else rows,
        tokenizer=TOKENIZER,
        config=config(tmp_path, **changes),
        name="train",
        model_max_tokens=model_max_tokens,
        check_both_classes=check,
    )


@given(
    groups=st.lists(st.integers(1, 6), min_size=2, max_size=12),
    seed=st.integers(0, 1000),
    shuffled=st.randoms(use_true_random=False),
)
def test_partners_have_another_prompt_and_are_used_once_unless_one_prompt_prevails(groups, seed, shuffled):
    prompts = [f"p{number}" for number, size in enumerate(groups) for _ in range(size)]
    shuffled.shuffle(prompts)
    partners = draw_partners(prompts, seed=seed, where="train")
    assert all(prompts[partner] != prompt for prompt, partner in zip(prompts, partners, strict=True))
    if 2 * max(groups) <= len(prompts):
        assert sorted(partners) == list(range(len(prompts)))
    assert partners == draw_partners(prompts, seed=seed, where="train")


def test_partners_of_other_seeds_differ():
    prompts = [f"p{number}" for number in range(30)]
    assert draw_partners(prompts, seed=1, where="train") != draw_partners(prompts, seed=2, where="train")


def test_partners_of_one_prompt_are_refused():
    with pytest.raises(DataError, match="train: all 3 rows have one prompt"):
        draw_partners(["p"] * 3, seed=1, where="train")


@given(seed=st.integers(0, 100))
def test_sampled_steps_lie_within_both_answers(seed):
    num_steps = [1, 4, 2, 3]
    for place, drawn in enumerate(draw_steps(num_steps, [1, 0, 3, 2], seed=seed)):
        assert 0 <= drawn.own_step < num_steps[place]
        assert 0 <= drawn.partner_step < num_steps[drawn.partner]


def test_grouped_rollouts_are_never_paired_with_their_own_prompt(tmp_path):
    rows = prepared(tmp_path, solutions(num_problems=4, samples=4))
    for place, partner in enumerate(rows.partners[0]):
        assert rows.rows[place].prompt != rows.rows[partner].prompt


def test_prepared_row_holds_every_token_once_with_the_end_in_the_last_step(tmp_path):
    rows = prepared(tmp_path)
    for row, solution in zip(rows.rows, solutions(), strict=True):
        assert TOKENIZER.decode(list(row.view.prompt_ids)) == solution.prompt
        assert row.view.completion_ids[-1] == TOKENIZER.eos_token_id
        assert row.view.step_ids[-1] == len(solution.steps) - 1
        for number, step in enumerate(solution.steps):
            ids = [
                token
                for token, at in zip(row.view.completion_ids, row.view.step_ids, strict=True)
                if at == number and token != TOKENIZER.eos_token_id
            ]
            assert TOKENIZER.decode(ids) == step


def test_answers_that_were_cut_off_get_no_end_where_asked(tmp_path):
    rows = prepared(tmp_path, append_eos=False)
    assert all(TOKENIZER.eos_token_id not in row.view.completion_ids for row in rows.rows)


def test_mismatched_example_joins_own_prompt_and_other_answer(tmp_path):
    rows = prepared(tmp_path)
    partner = rows.partners[0][3]
    view = rows[3].views["mismatched"]
    assert view.prompt_ids == rows.rows[3].view.prompt_ids
    assert view.completion_ids == rows.rows[partner].view.completion_ids


def test_sampled_example_follows_its_own_prefix(tmp_path):
    rows = prepared(tmp_path, step_z0="sampled")
    own, drawn = rows.rows[3].view, rows.sampled[0][3]
    view = rows[3].views["sampled"]
    before = sum(step < drawn.own_step for step in own.step_ids)
    assert view.prompt_ids == own.prompt_ids + own.completion_ids[:before]
    assert view.num_steps == 1
    assert set(rows[3].views) == {"matched", "mismatched", "sampled"}


@pytest.mark.parametrize(
    ("changes", "views"),
    [
        ({"outcome_z0": "zero", "step_z0": "zero"}, {"matched"}),
        ({"outcome_z0": "zero", "step_z0": "segments"}, {"matched", "mismatched"}),
        ({"outcome_z0": "zero", "step_weight": 0.0}, {"matched"}),
        ({"outcome_weight": 0.0, "step_z0": "sampled"}, {"matched", "sampled"}),
    ],
)
def test_only_needed_sequences_are_scored(tmp_path, changes, views):
    assert set(prepared(tmp_path, **changes)[0].views) == views


def test_labels_follow_the_policy_for_steps_behind_an_error(tmp_path):
    row = StepwiseSolution(prompt="a", steps=("b\n", "c\n", "1"), step_labels=(False, True, None), outcome=False)
    rows = [row, *solutions()]
    for policy, codes in {"as_judged": (0, 1, -1), "mask": (0, -1, -1), "negative": (0, 0, 0)}.items():
        assert prepared(tmp_path, rows, after_first_error=policy).rows[0].step_codes == codes


def test_content_hash_changes_with_rows_labels_and_pairing_only(tmp_path):
    plain = prepared(tmp_path).content_hash
    assert prepared(tmp_path, learning_rate=1.0, per_device_train_batch_size=1).content_hash == plain
    assert prepared(tmp_path, pairing_seed=5).content_hash != plain
    assert prepared(tmp_path, after_first_error="negative").content_hash != plain
    assert prepared(tmp_path, solutions()[1:]).content_hash != plain


def test_row_with_half_a_surrogate_pair_is_refused_by_name(tmp_path):
    broken = StepwiseSolution(prompt="a", steps=("b\ud800",), step_labels=(True,), outcome=True)
    with pytest.raises(DataError, match="train row 17: the text holds half a surrogate pair"):
        prepared(tmp_path, [*solutions(), broken])


def test_long_row_is_refused_by_name_or_dropped_and_counted(tmp_path):
    long = StepwiseSolution(prompt="a", steps=("b" * 200,), step_labels=(True,), outcome=True)
    rows = [*solutions(), long]
    with pytest.raises(DataError, match=r"train row 17: .* longer than max_length 60"):
        prepared(tmp_path, rows, max_length=60)
    kept = prepared(tmp_path, rows, max_length=60, too_long="drop")
    assert (len(kept), kept.num_dropped) == (16, 1)
    with pytest.raises(DataError, match=r"train row 1: this and the other 16 rows are longer than max_length 2"):
        prepared(tmp_path, rows, max_length=2, too_long="drop")


def test_row_longer_than_the_model_takes_is_refused_without_max_length(tmp_path):
    with pytest.raises(DataError, match="longer than max_length 20"):
        prepared(tmp_path, model_max_tokens=20)


def test_mismatched_answer_loses_whole_steps_to_fit():
    own = View(prompt_ids=(1, 2, 3), completion_ids=(4,), step_ids=(0,), num_steps=1)
    other = View(prompt_ids=(9,), completion_ids=(5, 6, 7, 8), step_ids=(0, 0, 1, 1), num_steps=2)
    assert mismatched_view(own, other, max_tokens=None).num_steps == 2
    assert mismatched_view(own, other, max_tokens=7).completion_ids == (5, 6, 7, 8)
    for room in (5, 6):
        shorter = mismatched_view(own, other, max_tokens=room)
        assert (shorter.completion_ids, shorter.step_ids, shorter.num_steps) == ((5, 6), (0, 0), 1)
    assert mismatched_view(own, other, max_tokens=4).num_steps == 0


def test_shortened_pairs_are_counted(tmp_path):
    rows = [
        StepwiseSolution(prompt="a" * 30, steps=("b\n", "1"), step_labels=(True, False), outcome=True),
        StepwiseSolution(prompt="c", steps=("d" * 20 + "\n", "e" * 9), step_labels=(True, False), outcome=False),
    ]
    assert prepared(tmp_path, rows, max_length=40).num_shortened_pairs == 1
    assert prepared(tmp_path, rows).num_shortened_pairs == 0


def test_sampled_step_that_does_not_fit_counts_for_nothing(tmp_path):
    rows = prepared(tmp_path, step_z0="sampled")
    drawn = rows.sampled[0][0]
    view = sampled_view(rows.rows[0].view, rows.rows[drawn.partner].view, drawn, max_tokens=3)
    assert (view.completion_ids, view.num_steps) == ((), 0)


def test_chat_prompts_go_through_the_template_and_take_no_second_begin(tmp_path):
    tokenizer = make_toy_tokenizer()
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}{% if add_generation_prompt %}[me]{% endif %}"
    )
    plain = [*solutions()]
    rows = [{**plain[0].to_json(), "prompt": [{"role": "user", "content": "hi"}]}, *plain[1:]]
    settings = config(tmp_path, prompt_format="chat", system_prompt="be brief")
    made = prepare_rows(rows, tokenizer=tokenizer, config=settings, name="train", model_max_tokens=None)
    assert made.rows[0].prompt == "[user]hi[me]"
    assert made.rows[1].prompt == f"[system]be brief[user]{plain[1].prompt}[me]"


def test_prompt_as_messages_needs_a_template(tmp_path):
    rows = [{**row.to_json(), "prompt": [{"role": "user", "content": row.prompt}]} for row in solutions()]
    with pytest.raises(ConfigError, match="no chat template"):
        prepared(tmp_path, rows)


@pytest.mark.parametrize(("prompt", "message"), [([], "no message"), ([{"role": "user"}], "give text, or messages")])
def test_broken_messages_are_refused_by_row(tmp_path, prompt, message):
    with pytest.raises(DataError, match=f"train row 1: .*{message}"):
        prepared(tmp_path, [{**solutions()[0].to_json(), "prompt": prompt}])


def test_file_and_dataset_give_the_same_set_as_solutions(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row.to_json()) + "\n" for row in solutions()), encoding="utf-8")
    from_file = prepared(tmp_path, path)
    from_dataset = prepared(tmp_path, Dataset.from_list([row.to_json() for row in solutions()]))
    assert from_file.content_hash == from_dataset.content_hash == prepared(tmp_path).content_hash
    assert from_file.rows[1].name == f"{path}:2"


def test_broken_row_of_a_file_is_named(tmp_path):
    path = tmp_path / "rows.jsonl"
    broken = {**solutions()[1].to_json(), "labels": [True]}
    path.write_text("".join(json.dumps(row) + "\n" for row in (solutions()[0].to_json(), broken)), encoding="utf-8")
    with pytest.raises(DataError, match=r"rows.jsonl:2: 'labels' has 1 entries for 3 steps"):
        prepared(tmp_path, path)


def test_empty_set_is_refused(tmp_path):
    with pytest.raises(DataError, match="train: holds no row"):
        prepared(tmp_path, [])


def test_one_class_is_refused_for_training_and_taken_for_evaluation(tmp_path):
    right = [row for row in solutions() if row.outcome and False not in row.step_labels]
    with pytest.raises(DataError, match="outcome labels are right"):
        prepared(tmp_path, right)
    assert len(prepared(tmp_path, right, check_both_classes=False)) == len(right)


def test_prompt_without_token_is_refused(tmp_path):
    class Silent:
        is_fast, bos_token_id, eos_token_id = True, None, 1

        def __call__(self, text, **_):
            ids = [] if text == "x" else [5] * (len(text) - 1)
            return {"input_ids": ids, "offset_mapping": [(at + 1, at + 2) for at in range(len(ids))]}

    with pytest.raises(DataError, match="train row 1: the prompt has no token"):
        prepare_rows(
            [StepwiseSolution(prompt="x", steps=("ab",), step_labels=(True,), outcome=True)],
            tokenizer=Silent(),
            config=config(tmp_path),
            name="train",
            model_max_tokens=None,
        )


def test_step_without_own_token_is_refused_by_row(tmp_path):
    with pytest.raises(DataError, match="train row 1: step 2"):
        prepared(
            tmp_path,
            [StepwiseSolution(prompt="a", steps=("## Ste", "p "), step_labels=(True, False), outcome=True)],
        )


def test_tokenizer_without_end_needs_append_eos_off(tmp_path):
    tokenizer = make_toy_tokenizer()
    tokenizer.eos_token = None
    with pytest.raises(DataError, match="no end-of-sequence token"):
        prepare_rows(solutions(), tokenizer=tokenizer, config=config(tmp_path), name="t", model_max_tokens=None)


def test_begin_of_sequence_is_put_where_the_tokenizer_puts_it(tmp_path):
    from tokenizers.processors import TemplateProcessing

    tokenizer = make_toy_tokenizer()
    tokenizer.bos_token = "<unk>"
    settings = config(tmp_path)
    without = prepare_rows(solutions(), tokenizer=tokenizer, config=settings, name="t", model_max_tokens=None)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(single="<unk> $A", special_tokens=[("<unk>", 2)])
    with_begin = prepare_rows(solutions(), tokenizer=tokenizer, config=settings, name="t", model_max_tokens=None)
    assert with_begin.rows[0].view.prompt_ids == (2, *without.rows[0].view.prompt_ids)


def test_filler_counts_for_nothing(tmp_path):
    filler = prepared(tmp_path)[FILLER_PLACE]
    assert filler.step_codes == ()
    assert filler.outcome_code == LabelCode.UNKNOWN
    assert all(view.completion_ids == () for view in filler.views.values())


@given(num_rows=st.integers(1, 30), multiple=st.integers(1, 8), epoch=st.integers(0, 5), pairings=st.integers(1, 3))
def test_sampler_visits_every_row_once_and_fills_up(num_rows, multiple, epoch, pairings):
    sampler = EpochSampler(num_rows=num_rows, num_pairings=pairings, multiple=multiple, seed=3)
    sampler.set_epoch(epoch)
    places = list(sampler)
    assert len(places) == len(sampler)
    assert len(places) % multiple == 0
    rows = [place for place in places if place != FILLER_PLACE]
    offset = (epoch % pairings) * num_rows
    assert sorted(rows) == list(range(offset, offset + num_rows))
    assert places[len(rows) :] == [FILLER_PLACE] * (len(places) - num_rows)


def test_sampler_orders_epochs_differently_and_leaves_the_random_state():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    sampler = EpochSampler(num_rows=50, num_pairings=1, multiple=1, seed=3)
    first = list(sampler)
    sampler.set_epoch(1)
    assert list(sampler) != first
    assert torch.equal(torch.get_rng_state(), before)
    assert list(EpochSampler(num_rows=4, num_pairings=1, multiple=1, seed=None)) == [0, 1, 2, 3]


def test_pairings_of_later_epochs_differ(tmp_path):
    rows = prepared(tmp_path, num_pairings=2)
    assert rows[0].views["mismatched"] != rows[len(rows)].views["mismatched"]
    assert rows[0].views["matched"] == rows[len(rows)].views["matched"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"beta": 0.0}, "beta"),
        ({"step_z0": "mean"}, "step_z0 is 'mean'"),
        ({"too_long": "cut"}, "too_long is 'cut'"),
        ({"max_length": 0}, "max_length is 0"),
        ({"num_pairings": 0}, "num_pairings is 0"),
        ({"remove_unused_columns": True}, "remove_unused_columns"),
        ({"system_prompt": "x"}, "system_prompt"),
    ],
)
def test_config_refuses_unusable_values(tmp_path, changes, message):
    with pytest.raises(ConfigError, match=message):
        config(tmp_path, **changes)
