# transformers and torch have no complete types
# pyright: standard
"""The fine-tuned encoder: a sequence classifier of transformers, trained on seeds (extra `transformers`)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from icda._classifier import FloatArray, check_training_rows
from icda._features import UnknownTokens, check_readable, count_unknown_tokens
from icda._guards import UNKNOWN_TOKEN_LIMIT
from icda._model_folder import check_model_folder, import_extra, load_model, load_tokenizer
from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderSettings:
    """How an encoder is fine-tuned. The paper's values are unknown; the defaults start from Sahu et al. 2022.

    Their `configs/exp_configs/fs_exps.py` (ServiceNow/data-augmentation-with-llms@77c740df, bert-large-uncased) has the
    values below for data augmented from few shots; see `SEEDS_ONLY` and `FEW_SEEDS` for data without augmentation.

    Attributes:
        learning_rate: highest, above 0; 5e-5 of Sahu et al. 2022.
        batch_size: rows per step, at least 1; 32 (BANKING77; 64 for CLINC150) of Sahu et al. 2022.
        epochs: passes over the rows, at least 1; 10 (BANKING77; 6 for CLINC150) of Sahu et al. 2022.
        warmup_share: of all steps, in [0, 1], in which the rate rises; then it falls to 0; 0.1 of Sahu et al. 2022.
        weight_decay: of AdamW, at least 0; 0.01 of Sahu et al. 2022.
        max_tokens: longer texts are cut; 64 is ours, utterances are short.
        max_grad_norm: gradients are scaled down to it, above 0; 1.0 is ours, the usual value.
        seed: of the head's first weights, the order of the rows and dropout.
        device: of torch.

    Raises:
        ConfigError: a value is out of its range.
    """

    learning_rate: float = 5e-5
    batch_size: int = 32
    epochs: int = 10
    warmup_share: float = 0.1
    weight_decay: float = 0.01
    max_tokens: int = 64
    max_grad_norm: float = 1.0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        counts = (("batch_size", self.batch_size), ("epochs", self.epochs), ("max_tokens", self.max_tokens))
        for name, count in counts:
            if count < 1:
                raise ConfigError(f"{name} is {count}; give at least 1")
        for name, value in (("learning_rate", self.learning_rate), ("max_grad_norm", self.max_grad_norm)):
            if not 0 < value < math.inf:
                raise ConfigError(f"{name} is {value}; give a finite number above 0")
        if not 0 <= self.warmup_share <= 1 or not self.weight_decay >= 0:
            raise ConfigError(
                f"warmup_share is {self.warmup_share}, weight_decay {self.weight_decay}; give a share in [0, 1] and a "
                "decay of at least 0"
            )


# Sahu et al. 2022, as above: without augmentation.
SEEDS_ONLY = EncoderSettings(learning_rate=3e-5, batch_size=8, epochs=20, weight_decay=0.001)
# Sahu et al. 2022, as above: 3 or 5 seeds per intent.
FEW_SEEDS = EncoderSettings(learning_rate=1e-5, batch_size=2, epochs=20, weight_decay=1e-4)


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderClassifier:
    """A RoBERTa-like encoder with a new head, all of it fine-tuned by AdamW on the weighted mean cross-entropy.

    Float32. On a CPU the same rows and seed give the same weights; on a GPU only nearly.

    Attributes:
        folder: of the encoder in safetensors, with its tokenizer.
        settings: how it is fine-tuned.
        unknown_limit: largest share of unknown tokens in the training rows, ours; None where a run's guard judges.
    """

    folder: Path
    settings: EncoderSettings = field(default_factory=EncoderSettings)
    unknown_limit: float | None = UNKNOWN_TOKEN_LIMIT

    def unknown_tokens(self, texts: Sequence[str]) -> UnknownTokens:
        """Count the tokens of texts that the encoder does not know.

        Raises:
            ConfigError: the folder holds no tokenizer that can be read.
            MissingDependencyError: the extra `transformers` is not installed.
        """
        check_model_folder(self.folder)
        return count_unknown_tokens(load_tokenizer(self.folder), texts)

    def with_seed(self, seed: int) -> "EncoderClassifier":
        """Return the same classifier with another seed."""
        return replace(self, settings=replace(self.settings, seed=seed))

    def fit(
        self, texts: Sequence[str], labels: Sequence[str], weights: Sequence[float] | None = None
    ) -> "FittedEncoder":
        """Fine-tune the encoder.

        Args:
            texts: utterances; blank ones, as the null model has them, are allowed.
            labels: intent of each.
            weights: weight of each in the loss, above 0; None for 1 each.

        Raises:
            ConfigError: the folder holds no encoder that can be read.
            DataError: the rows cannot be fitted on, or too many of their tokens are unknown to the encoder.
            MissingDependencyError: the extra `transformers` is not installed.
        """
        torch, transformers = import_extra("torch"), import_extra("transformers")
        check_training_rows(texts, labels, weights)
        check_model_folder(self.folder)
        tokenizer = load_tokenizer(self.folder)
        if self.unknown_limit is not None:
            check_readable(tokenizer, texts, name=self.folder.name, limit=self.unknown_limit)
        classes = tuple(sorted(set(labels)))
        devices = [torch.device(self.settings.device)] if self.settings.device.startswith("cuda") else []
        # The caller's random state is left as it was.
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(self.settings.seed)
            kind = transformers.AutoModelForSequenceClassification
            model = load_model(kind, self.folder, dtype=torch.float32, num_labels=len(classes))
            model = model.to(self.settings.device)
            code_of = {name: code for code, name in enumerate(classes)}
            rows = _Rows(
                texts=list(texts),
                codes=[code_of[label] for label in labels],
                weights=[1.0] * len(texts) if weights is None else list(weights),
            )
            _train(torch, model, tokenizer, rows, self.settings)
        return FittedEncoder(model=model.eval(), tokenizer=tokenizer, classes=classes, settings=self.settings)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedEncoder:
    """A fine-tuned encoder, in memory.

    Attributes:
        model: of transformers.
        tokenizer: of transformers.
        classes: intents, sorted; K.
        settings: as it was fine-tuned.
    """

    model: Any
    tokenizer: Any
    classes: tuple[str, ...]
    settings: EncoderSettings

    def predict_log_proba(self, texts: Sequence[str]) -> FloatArray:
        """Return natural log-probabilities, float64, shape (N, K)."""
        torch = import_extra("torch")
        result = np.empty((len(texts), len(self.classes)))
        # Texts of like length share a batch, so that little is padded.
        order = sorted(range(len(texts)), key=lambda place: (len(texts[place]), place))
        for start in range(0, len(order), self.settings.batch_size):
            places = order[start : start + self.settings.batch_size]
            batch = _encode(self.tokenizer, [texts[place] for place in places], self.settings)
            with torch.inference_mode():
                logits = self.model(**batch).logits.double()
            result[places] = torch.log_softmax(logits, dim=-1).cpu().numpy()
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rows:
    """Training rows as numbers."""

    texts: list[str]
    codes: list[int]
    weights: list[float]


def _train(torch: Any, model: Any, tokenizer: Any, rows: _Rows, settings: EncoderSettings) -> None:
    num_rows = len(rows.texts)
    steps = settings.epochs * math.ceil(num_rows / settings.batch_size)
    optimizer = torch.optim.AdamW(_groups(model, settings.weight_decay), lr=settings.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, steps, settings.warmup_share))
    codes = torch.tensor(rows.codes, device=settings.device)
    weights = torch.tensor(rows.weights, dtype=torch.float32, device=settings.device)
    mean_weight = weights.mean()
    model.train()
    for _ in range(settings.epochs):
        for places in torch.randperm(num_rows).split(settings.batch_size):
            batch = _encode(tokenizer, [rows.texts[place] for place in places.tolist()], settings)
            losses = torch.nn.functional.cross_entropy(
                model(**batch).logits, codes[places.to(settings.device)], reduction="none"
            )
            of_batch = weights[places.to(settings.device)]
            # By the mean weight of all rows: a batch of light rows must not count as much as one of heavy rows.
            ((losses * of_batch).mean() / mean_weight).backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), settings.max_grad_norm)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()


def _rate(step: int, steps: int, warmup_share: float) -> float:
    """Share of the highest rate: up over the warm-up, then down to 0 at the end, both in a line."""
    warmup = math.ceil(steps * warmup_share)
    if step < warmup:
        return (step + 1) / warmup
    return max(0.0, (steps - step) / max(1, steps - warmup))


def _groups(model: Any, weight_decay: float) -> list[dict[str, Any]]:
    """Part what has one dimension, biases and scales of norms: it is not decayed, as in BERT (Devlin et al. 2019)."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() > 1]
    others = [parameter for parameter in model.parameters() if parameter.dim() <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]


def _encode(tokenizer: Any, texts: list[str], settings: EncoderSettings) -> Any:
    return tokenizer(texts, padding=True, truncation=True, max_length=settings.max_tokens, return_tensors="pt").to(
        settings.device
    )
