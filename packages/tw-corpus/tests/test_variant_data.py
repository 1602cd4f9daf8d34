"""The shipped model on held-out rows of the shared data; thresholds a little below benchmarks/tw_corpus/variants.md."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from tw_corpus._script import Script
from tw_corpus._variant import Variant, load_variant_model
from tw_corpus._variant_evaluation import (
    Scored,
    converted_auroc,
    held_out_samples,
    in_both_scripts,
    label_figures,
    score,
    script_figure,
)
from tw_corpus._variant_training_rows import FILES, read_rows
from tw_corpus._variant_training_samples import load_converter


@pytest.fixture(scope="module")
def scored() -> Mapping[str, Sequence[Scored]]:
    root = os.environ.get("TWLLM_DATA")
    if root is None:
        pytest.skip("TWLLM_DATA is not set: shared data not found")
    folder = Path(root) / "zh_variants"
    for name in FILES:
        if not (folder / name).is_file():
            pytest.skip(f"shared data not found: zh_variants/{name}")
    model, convert = load_variant_model(), load_converter()
    samples = held_out_samples(read_rows(folder), seed=0)
    return {name: score(model, in_both_scripts(members, convert)) for name, members in samples.items()}


def longer(scored: Mapping[str, Sequence[Scored]]) -> list[Scored]:
    return [item for name, items in scored.items() if name != "sentences" for item in items]


def test_data_cantonese_is_found_and_nothing_else_is_taken_for_it(scored: Mapping[str, Sequence[Scored]]) -> None:
    texts = longer(scored)
    cantonese = [item for item in texts if item.sample.label is Variant.YUE]
    assert sum(item.verdict.label is Variant.YUE for item in cantonese) >= 0.98 * len(cantonese) > 0
    for label in (Variant.ZH_TW, Variant.ZH_CN):
        others = [item for item in texts if item.sample.label is label]
        assert sum(item.verdict.label is Variant.YUE for item in others) <= 0.003 * len(others)


def test_data_script_of_sentences_is_right(scored: Mapping[str, Sequence[Scored]]) -> None:
    assert (script_figure(scored["sentences"]).mean or 0) >= 0.997


@pytest.mark.parametrize("length", ["200", "1000"])
def test_data_converted_text_is_found(scored: Mapping[str, Sequence[Scored]], length: str) -> None:
    auroc = converted_auroc(scored[length], seed=0)
    assert auroc is not None
    assert (auroc.mean or 0) >= 0.98


@pytest.mark.parametrize("source", ["tw_law", "transcripts_tw"])
def test_data_genuine_taiwanese_documents_are_hardly_ever_flagged(
    scored: Mapping[str, Sequence[Scored]], source: str
) -> None:
    genuine = [item for item in longer(scored) if item.sample.source == source and item.script is Script.HANT]
    assert sum(item.verdict.converted_from_simplified for item in genuine) <= 0.02 * len(genuine)


@pytest.mark.parametrize(
    ("length", "least"),
    [
        ("sentences", {Variant.ZH_TW: 0.82, Variant.ZH_HK: 0.50, Variant.YUE: 0.88, Variant.ZH_CN: 0.50}),
        ("200", {Variant.ZH_TW: 0.97, Variant.ZH_HK: 0.82, Variant.YUE: 0.93, Variant.ZH_CN: 0.90}),
    ],
)
def test_data_f1_of_each_label_holds(
    scored: Mapping[str, Sequence[Scored]], length: str, least: Mapping[Variant, float]
) -> None:
    found = {figures.label: figures.f1 for figures in label_figures(scored[length], seed=0)}
    for label, threshold in least.items():
        estimate = found[label]
        assert estimate is not None
        assert (estimate.mean or 0) >= threshold
