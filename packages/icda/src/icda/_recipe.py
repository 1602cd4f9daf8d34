"""The recipe of a whole run: one tree of frozen dataclasses, read from YAML; every value says whose it is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from icda._generate_settings import GenerateSettings
from icda._guards import GuardName, GuardRules
from icda._recipe_classifier import ClassifierSettings
from icda._recipe_data import DataSettings
from icda._run_score import ScoreJob
from icda._run_select import SelectJob
from icda._score import ScoreSettings
from icda._selection_rules import SelectionRules
from icda._threshold_settings import ThresholdSettings
from icda._train_settings import TrainJob, TrainSettings
from twllm_types import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class IcdaRecipe:
    """From seeds to a trained classifier. The paper's own values, where they are known, are named with the fields.

    Attributes:
        description: for people.
        engine: spec of the generator (hf:MODEL, vllm:MODEL, openai:MODEL@URL, replay:FILE, or a YAML file); None where
            the command line gives it, or nothing is generated.
        seed: of generation, selection and draws; parts set none of their own.
        data: seeds, validation and test rows.
        generate: see `GenerateSettings`.
        classifier: that judges candidates, see `ClassifierSettings`.
        score: see `ScoreSettings`.
        thresholds: see `ThresholdSettings`.
        guards: see `GuardRules`.
        allow_guards: guards that do not stop.
        select: see `SelectionRules`.
        train: see `TrainSettings`.

    Raises:
        ConfigError: a part sets a seed of its own.
    """

    description: str = ""
    engine: str | None = None
    seed: int = 0
    data: DataSettings = field(default_factory=DataSettings)
    generate: GenerateSettings = field(default_factory=GenerateSettings)
    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    score: ScoreSettings = field(default_factory=ScoreSettings)
    thresholds: ThresholdSettings = field(default_factory=ThresholdSettings)
    guards: GuardRules = field(default_factory=GuardRules)
    allow_guards: tuple[GuardName, ...] = ()
    select: SelectionRules = field(default_factory=SelectionRules)
    train: TrainSettings = field(default_factory=TrainSettings)

    def __post_init__(self) -> None:
        if self.select.seed:
            raise ConfigError(f"select.seed is {self.select.seed}; set the recipe's own 'seed', which all parts take")

    def with_options(
        self,
        *,
        engine: str | None = None,
        files: Mapping[str, Path] | None = None,
        index: Path | None = None,
        features_model: str | None = None,
        seed: int | None = None,
    ) -> "IcdaRecipe":
        """Return the recipe with what the command line gives; None leaves the recipe's.

        Raises:
            ConfigError: a model for features that have none.
        """
        features = self.classifier.features
        if features_model is not None:
            features = replace(features, model=features_model)
        return replace(
            self,
            engine=self.engine if engine is None else engine,
            seed=self.seed if seed is None else seed,
            data=self.data.with_paths(files or {}, index=index),
            classifier=replace(self.classifier, features=features),
        )

    @property
    def score_job(self) -> ScoreJob:
        """What scoring needs of it."""
        return ScoreJob(classifier=self.classifier, score=self.score, thresholds=self.thresholds, guards=self.guards)

    @property
    def select_job(self) -> SelectJob:
        """What selecting needs of it."""
        return SelectJob(rules=replace(self.select, seed=self.seed), guards=self.guards, allow_guards=self.allow_guards)

    @property
    def train_job(self) -> TrainJob:
        """What training needs of it."""
        return TrainJob(
            classifier=self.classifier,
            train=self.train,
            mass=self.select.mass,
            guards=self.guards,
            allow_guards=self.allow_guards,
        )
