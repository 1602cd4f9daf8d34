"""How the final classifier is trained, and on which draws."""

from dataclasses import dataclass, field

from icda._guards import GuardName, GuardRules
from icda._recipe_classifier import ClassifierSettings
from icda._run_data import RunData
from icda._run_select import SelectRun
from icda._selection_rules import SelectionKind
from twllm_types import ConfigError

# Without these no selection is shown: design 0007.
_ALWAYS = (SelectionKind.KEEP_ALL, SelectionKind.RANDOM, SelectionKind.ARGMAX)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings:
    """How the final classifier is trained and what it is held against.

    Attributes:
        classifier: that is trained; None takes the one that judged.
        seeds: of the trainings, at least one; a probe, which no seed changes, is trained once. Five runs [DialoGLUE].
        draws: how often everything that chance decides is drawn, >= 1 [DialoGLUE asks for five]. Each draw has other
            seeds where `data.num_shots` draws them, and then generates anew; else only random selections and caps
            differ, and rules that draw nothing count once.
        compare: plain rules that are trained on beside keep-all, random of the same size and argmax agreement, which
            always are.
        level: of the intervals, in (0, 1).

    Raises:
        ConfigError: no seed, one twice, no draw, or the level is out of range.
    """

    classifier: ClassifierSettings | None = None
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    draws: int = 1
    compare: tuple[SelectionKind, ...] = ()
    level: float = 0.95

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"train.seeds is {list(self.seeds)}; give at least one, each once")
        if self.draws < 1:
            raise ConfigError(f"train.draws is {self.draws}; give a number >= 1")
        if not 0 < self.level < 1:
            raise ConfigError(f"train.level is {self.level}; give a coverage in (0, 1)")

    @property
    def kinds(self) -> tuple[SelectionKind, ...]:
        """Plain rules that are trained on."""
        return tuple(dict.fromkeys((*_ALWAYS, *self.compare)))


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """What training needs to know.

    Attributes:
        classifier: that judged, and is trained unless the settings name another.
        train: how.
        mass: weight of an intent's synthetic rows together, in those of its seeds; None for 1 each.
        guards: limits.
        allow_guards: guards that do not stop.
    """

    classifier: ClassifierSettings = field(default_factory=ClassifierSettings)
    train: TrainSettings = field(default_factory=TrainSettings)
    mass: float | None = None
    guards: GuardRules = field(default_factory=GuardRules)
    allow_guards: tuple[GuardName, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainDraw:
    """One draw of everything that chance decides.

    Attributes:
        data: seeds of the draw, and the test rows, which are the same in all draws.
        selection: a finished selection from candidates for these seeds.
    """

    data: RunData
    selection: SelectRun
