"""The part of a recipe that says which classifier judges, and how one is made of it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, TypeAlias

from icda._classifier import IntentClassifier
from icda._encoder import EncoderClassifier, EncoderSettings
from icda._features import Features, TextEncoder
from icda._features_cache import CachedFeatures
from icda._features_ngrams import CharacterNgrams
from icda._model_folder import check_model_folder, hash_model_folder
from icda._probe import ProbeClassifier
from twllm_runs import recipe_to_json
from twllm_types import ConfigError, JsonObject, JsonValue

FeatureKind: TypeAlias = Literal["character-ngrams", "sentence", "endpoint"]
ClassifierKind: TypeAlias = Literal["probe", "encoder"]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureSettings:
    """What a probe sees of a text.

    Attributes:
        kind: `character-ngrams`, which read every script and need no model [ours, for Chinese]; `sentence`, a local
            encoder; `endpoint`, a server with `/v1/embeddings`.
        smallest: characters of the shortest n-gram, >= 1 [ours].
        largest: characters of the longest [ours].
        model: folder of the encoder, or its name at the server; None for n-grams.
        base_url: of the server, up to and with `/v1`.
        api_key_env: environment variable with the server's key; None where it asks for none.
        revision: what tells a server's model from others of its name.
        device: of torch, for `sentence`.
        batch_size: texts per forward pass or request, >= 1.

    Raises:
        ConfigError: a value that the kind needs is missing, or one that it has no use for is given.
    """

    kind: FeatureKind = "character-ngrams"
    smallest: int = 1
    largest: int = 3
    model: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    revision: str | None = None
    device: str = "cpu"
    batch_size: int = 32

    def __post_init__(self) -> None:
        if self.kind != "character-ngrams" and self.model is None:
            raise ConfigError(f"features of the kind {self.kind!r} need a model; set features.model")
        if (self.kind == "endpoint") != (self.base_url is not None):
            raise ConfigError("features.base_url is the address of an 'endpoint'; set both, or neither")
        if self.kind == "character-ngrams" and self.model is not None:
            raise ConfigError("features.model is set for character n-grams, which have none; set kind: sentence")
        # what is left is checked where features are made of it
        if self.kind == "character-ngrams":
            CharacterNgrams(smallest=self.smallest, largest=self.largest)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierSettings:
    """Which classifier is fitted: the family V of V-information, and the one that is trained in the end.

    Attributes:
        kind: `probe`, a logistic regression on features; `encoder`, a fine-tuned one (the paper's is RoBERTa-large).
        features: of the probe.
        c: inverse penalty of the probe, > 0. 10 [brief §7].
        max_iterations: of the probe, >= 1. 300 [brief §7].
        tolerance: of the probe, > 0. 1e-5 [ours; see `ProbeClassifier`].
        model: folder of the encoder; None for a probe.
        encoder: how it is fine-tuned [Sahu et al. 2022].

    Raises:
        ConfigError: an encoder without a model, or a probe with one.
    """

    kind: ClassifierKind = "probe"
    features: FeatureSettings = field(default_factory=FeatureSettings)
    c: float = 10.0
    max_iterations: int = 300
    tolerance: float = 1e-5
    model: str | None = None
    encoder: EncoderSettings = field(default_factory=EncoderSettings)

    def __post_init__(self) -> None:
        if (self.kind == "encoder") != (self.model is not None):
            raise ConfigError(
                f"classifier.model is {self.model!r} for the kind {self.kind!r}; an encoder needs its folder, and "
                "a probe has its model under features"
            )
        if self.kind == "probe" and not (self.c > 0 and self.max_iterations > 0 and self.tolerance > 0):
            raise ConfigError(
                f"c is {self.c}, max_iterations {self.max_iterations}, tolerance {self.tolerance}; give numbers above 0"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeClassifier:
    """A classifier that can be fitted, and what decides its figures.

    Attributes:
        family: to be fitted.
        decides: settings and model by hash, without a machine's paths; equal values give equal figures.
    """

    family: IntentClassifier
    decides: JsonObject


def make_classifier(settings: ClassifierSettings, *, cache: Path | None) -> MadeClassifier:
    """Make the classifier that settings describe.

    Args:
        settings: of the recipe.
        cache: folder of kept embeddings; None keeps none.

    Raises:
        ConfigError: a model cannot be read, or a value is out of its range.
        MissingDependencyError: the extra of the kind is not installed.
    """
    values = recipe_to_json(settings)
    if settings.kind == "encoder":
        folder = Path(settings.model or "")
        check_model_folder(folder)
        decides: JsonObject = {
            "kind": "encoder",
            "model": hash_model_folder(folder),
            "encoder": _without(values["encoder"], "device"),
        }
        # the guard of the stage judges what it can read, and its number is in the summary
        encoder = EncoderClassifier(folder=folder, settings=settings.encoder, unknown_limit=None)
        return MadeClassifier(family=encoder, decides=decides)
    features = make_features(settings.features, cache=cache)
    family = ProbeClassifier(
        features=features, c=settings.c, max_iterations=settings.max_iterations, tolerance=settings.tolerance
    )
    figures: JsonObject = {name: values[name] for name in ("c", "max_iterations", "tolerance")}
    return MadeClassifier(family=family, decides={"kind": "probe", "features": features.key, **figures})


def make_features(settings: FeatureSettings, *, cache: Path | None) -> Features:
    """Make the features that settings describe; arguments and errors as `make_classifier`."""
    if settings.kind == "character-ngrams":
        return CharacterNgrams(smallest=settings.smallest, largest=settings.largest)
    encoder = _sentence(settings) if settings.kind == "sentence" else _endpoint(settings)
    return encoder if cache is None else CachedFeatures(encoder, cache)


def _sentence(settings: FeatureSettings) -> TextEncoder:
    from icda._features_sentence import SentenceEmbeddings, SentenceSettings

    # the guard of the stage judges what it can read, and its number is in the summary
    chosen = SentenceSettings(batch_size=settings.batch_size, device=settings.device, unknown_limit=None)
    return SentenceEmbeddings(Path(settings.model or ""), chosen)


def _endpoint(settings: FeatureSettings) -> TextEncoder:
    from icda._features_endpoint import EndpointEmbeddings, EndpointSettings

    chosen = EndpointSettings(
        batch_size=settings.batch_size, api_key_env=settings.api_key_env, revision=settings.revision
    )
    return EndpointEmbeddings(settings.base_url or "", settings.model or "", chosen)


def _without(values: JsonValue, *names: str) -> JsonValue:
    return {name: value for name, value in values.items() if name not in names} if isinstance(values, dict) else values
