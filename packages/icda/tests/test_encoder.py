from pathlib import Path
from typing import Any

import numpy as np
import pytest

from icda._encoder import FEW_SEEDS, SEEDS_ONLY, EncoderClassifier, EncoderSettings
from twllm_types import ConfigError, DataError

TEXTS = ["check my balance", "my balance please", "lost my card", "card is lost"]
LABELS = ["balance", "balance", "lost", "lost"]
QUICK = EncoderSettings(learning_rate=1e-2, batch_size=2, epochs=40, max_tokens=8, weight_decay=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch, transformers = pytest.importorskip("torch"), pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("encoder")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted({word for text in TEXTS for word in text.split()})]
    (path / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    transformers.BertTokenizer(str(path / "vocab.txt")).save_pretrained(str(path))
    config = transformers.BertConfig(
        vocab_size=len(words),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=16,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(str(path))
    return path


def test_encoder_learns_its_rows_and_gives_distributions(folder: Path) -> None:
    fitted = EncoderClassifier(folder=folder, settings=QUICK).fit(TEXTS, LABELS)

    logps = fitted.predict_log_proba(TEXTS)

    assert fitted.classes == ("balance", "lost")
    np.testing.assert_allclose(np.exp(logps).sum(axis=1), 1, atol=1e-9)
    assert [fitted.classes[best] for best in logps.argmax(axis=1)] == LABELS
    assert fitted.predict_log_proba([]).shape == (0, 2)


def test_encoder_same_seed_gives_the_same_bits_and_leaves_the_callers_random_state(folder: Path) -> None:
    import torch

    classifier = EncoderClassifier(folder=folder, settings=QUICK)
    before = torch.get_rng_state()
    one, again = (classifier.fit(TEXTS, LABELS).predict_log_proba(TEXTS) for _ in range(2))
    other = classifier.with_seed(5).fit(TEXTS, LABELS).predict_log_proba(TEXTS)

    assert (one == again).all()
    assert (one != other).any()
    assert torch.equal(before, torch.get_rng_state())


def test_encoder_equal_weights_of_any_size_change_nothing(folder: Path) -> None:
    classifier = EncoderClassifier(folder=folder, settings=QUICK)
    plain = classifier.fit(TEXTS, LABELS).predict_log_proba(TEXTS)
    heavy = classifier.fit(TEXTS, LABELS, [3.0] * 4).predict_log_proba(TEXTS)

    np.testing.assert_allclose(plain, heavy, atol=1e-4)


def test_encoder_heavier_intent_is_preferred(folder: Path) -> None:
    classifier = EncoderClassifier(folder=folder, settings=QUICK)
    heavy = classifier.fit(["card"] * 4, LABELS, [9.0, 9.0, 1.0, 1.0]).predict_log_proba(["card"])

    np.testing.assert_allclose(np.exp(heavy[0, 0]), 0.9, atol=0.09)


def test_encoder_null_model_is_fitted_on_empty_texts(folder: Path) -> None:
    null = EncoderClassifier(folder=folder, settings=QUICK).fit([""] * 4, LABELS).predict_log_proba(["", "lost"])

    np.testing.assert_allclose(np.exp(null[0]), 0.5, atol=0.2)


def test_encoder_that_cannot_read_the_rows_is_refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"no token for 100\.0% of the data"):
        EncoderClassifier(folder=folder, settings=QUICK).fit(["餘額", "掛失"], ["a", "b"])
    with pytest.raises(DataError, match="these have 1"):
        EncoderClassifier(folder=folder, settings=QUICK).fit(["card"], ["a"])
    with pytest.raises(ConfigError, match="is no folder"):
        EncoderClassifier(folder=folder / "absent").fit(TEXTS, LABELS)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("learning_rate", 0.0),
        ("batch_size", 0),
        ("epochs", 0),
        ("max_tokens", 0),
        ("max_grad_norm", float("inf")),
        ("warmup_share", 1.5),
        ("weight_decay", -1.0),
    ],
)
def test_encoder_settings_out_of_range_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        EncoderSettings(**{field: value})


def test_encoder_settings_of_sahu_are_those_of_the_brief() -> None:
    published = [(one.learning_rate, one.batch_size, one.epochs) for one in (EncoderSettings(), SEEDS_ONLY, FEW_SEEDS)]

    assert published == [(5e-5, 32, 10), (3e-5, 8, 20), (1e-5, 2, 20)]
