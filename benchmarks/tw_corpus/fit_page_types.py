"""Fit the weights of the promotion and boilerplate scores and write tables/page_types.tsv.

    TWLLM_DATA=... uv run python benchmarks/tw_corpus/fit_page_types.py

Fitted on the development pages, the package's own test pages and the calibration half of the genuine genres; the test
sets under data/ are not read. Logistic regression with an L2 penalty, each weight bound to the sign that its measure
was chosen for. Every page is also shown with half or a third of the term list left out, so that the weights do not
lean on the terms that happen to stand in it. Prints the rates of a cross-validation on the development pages.
"""

import hashlib
import json
import os
import random
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from genres import SIMPLIFIED_ANSWERS, load_documents

from tw_corpus._characters import codes_of
from tw_corpus._features import term_measures
from tw_corpus._measure import Measures, measure
from tw_corpus._normalize import normalize
from tw_corpus._page_types import COUNT_CHARS, PRIOR_CHARS, Scale, scale_measure
from tw_corpus._terms import TermCategory, TermCounts, count_terms, load_terms

HERE = Path(__file__).parent
PACKAGE = HERE.parents[1] / "packages" / "tw-corpus"
TABLE = PACKAGE / "src" / "tw_corpus" / "tables" / "page_types.tsv"

Vector = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """A measure, how it is scaled, and the sign its weight may take in each score (0: left out)."""

    measure: str
    scale: Scale
    cap: float
    promotion: int
    boilerplate: int


def _feature(measure_name: str, scale: str, cap: float, promotion: int, boilerplate: int) -> Feature:
    return Feature(measure=measure_name, scale=Scale(scale), cap=cap, promotion=promotion, boilerplate=boilerplate)


FEATURES = (
    _feature("selling_term_density", "density", 200, +1, 0),
    _feature("num_selling_terms", "count", 12, +1, 0),
    _feature("contact_term_density", "density", 100, +1, 0),
    _feature("boilerplate_term_density", "density", 200, +1, +1),
    _feature("num_boilerplate_terms", "count", 12, 0, +1),
    _feature("reporting_term_density", "density", 60, -1, -1),
    _feature("narration_term_density", "density", 60, -1, -1),
    _feature("sentence_han_share", "share", 1, -1, -1),
    _feature("function_char_share", "share", 0.25, -1, -1),
    _feature("bare_run_han_share", "share", 1, +1, +1),
    _feature("bare_entry_char_share", "share", 1, 0, +1),
    _feature("exclamation_share", "share", 0.05, +1, 0),
    _feature("second_person_share", "share", 0.05, +1, +1),
    _feature("decoration_share", "share", 0.1, +1, 0),
    _feature("price_share", "share", 0.05, +1, +1),
    _feature("separator_share", "share", 0.1, +1, +1),
    _feature("bracketed_number_share", "share", 0.05, 0, +1),
    _feature("digit_share", "share", 0.35, 0, +1),
    _feature("top_2gram_share", "share", 0.2, +1, 0),
    _feature("top_4gram_share", "share", 0.2, +1, 0),
)

# Kinds of the development and test pages that each score is for; the other pages that must go take no part.
_PROMOTION = """spam gambling adult loan goods income seo health fortune essay piracy phishing game ecig clinic pyramid
house spun_loan spun_gambling simplified_gambling"""
_BOILERPLATE = """boilerplate menu footer cookie error login javascript captcha shop tags archive directory parked
search share table paywall adblock redirect form forum_index privacy"""
PROMOTION_KINDS = frozenset(_PROMOTION.split())
BOILERPLATE_KINDS = frozenset(_BOILERPLATE.split())

PENALTY = 1.0
# A genuine document of the calibration half counts this much against one written page: there are five times as many.
CALIBRATION_WEIGHT = 0.15
# Each page as it is and under three drawn term lists: (share of the terms kept, weight of this view).
VIEWS = ((1.0, 0.4), (0.5, 0.2), (0.5, 0.2), (0.7, 0.2))
SEED = 20261121
NUM_FOLDS = 8
NUM_STEPS = 4000
THRESHOLDS = (0.3, 0.4, 0.5, 0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One text of the fit; pages of one `group` stay in one fold."""

    source: str
    kind: str
    is_kept: bool
    group: str
    text: str


def load_pages(data: Path) -> list[Page]:
    """Development pages, the package's test pages, and the calibration half."""
    return [
        *_written(HERE / "development" / "pages.jsonl", "development"),
        *_written(PACKAGE / "tests" / "data" / "quality_examples.jsonl", "test pages"),
        *(
            Page(source="calibration", kind=d.genre, is_kept=True, group=d.id, text=d.text)
            for d in load_documents(data)
            if d.half == "calibration" and d.genre != SIMPLIFIED_ANSWERS
        ),
    ]


def _written(path: Path, source: str) -> Iterator[Page]:
    for line in path.read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        is_kept = row["verdict"] == "keep"
        # A genre of kept pages stays together, so that the cross-validation sees genres it was not fitted on.
        yield Page(
            source=source, kind=row["kind"], is_kept=is_kept, group=row["kind" if is_kept else "id"], text=row["text"]
        )


def term_lists() -> list[frozenset[str]]:
    """The Traditional forms kept in each view; words that speak for genuine text are never left out."""
    terms = {term.text: term for term in load_terms().values()}
    lists: list[frozenset[str]] = []
    for number, (share, _) in enumerate(VIEWS):
        # which terms a view leaves out is no secret
        draw = random.Random(SEED + number)  # noqa: S311
        lists.append(
            frozenset(
                text
                for text in sorted(terms)
                if draw.random() < share or terms[text].category in {TermCategory.REPORTING, TermCategory.NARRATION}
            )
        )
    return lists


def scaled_features(pages: Sequence[Page]) -> list[Vector]:
    """One matrix (pages, features) for each view."""
    views: list[list[list[float]]] = [[] for _ in VIEWS]
    lists = term_lists()
    for page in pages:
        text = normalize(page.text).text
        measures = measure(text)
        found = count_terms(text, codes_of(text)).occurrences
        for view, kept in zip(views, lists, strict=True):
            terms = TermCounts(occurrences={term: count for term, count in found.items() if term.text in kept})
            view.append(_scale(measures, terms))
    return [np.array(view) for view in views]


def _scale(measures: Measures, terms: TermCounts) -> list[float]:
    written = max(measures.num_written_chars, 1)
    values = {**asdict(measures), **term_measures(terms, written)}
    return [scale_measure(values[f.measure], f.scale, cap=f.cap, num_written=written) for f in FEATURES]


def fit(features: Vector, is_rejected: Vector, weights: Vector, signs: Vector) -> Vector:
    """Weights and, last, the intercept, by accelerated projected gradient descent on the penalised logistic loss."""
    design = np.hstack([features, np.ones((len(features), 1))])
    low = np.append(np.where(signs > 0, 0.0, -np.inf), -np.inf)
    high = np.append(np.where(signs < 0, 0.0, np.inf), np.inf)
    penalty = np.append(np.full(features.shape[1], PENALTY), 0.0)
    step = 1.0 / (0.25 * float(np.linalg.eigvalsh((design * weights[:, None]).T @ design)[-1]) + PENALTY)
    point = momentum = np.zeros(design.shape[1])
    for number in range(NUM_STEPS):
        probabilities = 1.0 / (1.0 + np.exp(-(design @ momentum)))
        gradient = design.T @ (weights * (probabilities - is_rejected)) + penalty * momentum
        following = np.clip(momentum - step * gradient, low, high)
        momentum = following + number / (number + 3) * (following - point)
        point = following
    return point


def fit_score(
    name: str, kinds: frozenset[str], pages: Sequence[Page], views: Sequence[Vector]
) -> tuple[Vector, list[str]]:
    """Weights of one score over all `FEATURES` and the intercept, and the report of its cross-validation."""
    signs = np.array([getattr(feature, name) for feature in FEATURES], dtype=np.float64)
    columns = signs.nonzero()[0]
    used = [number for number, page in enumerate(pages) if page.is_kept or page.kind in kinds]
    chosen = [pages[number] for number in used]
    matrices = [view[used][:, columns] for view in views]
    is_rejected = np.array([not page.is_kept for page in chosen], dtype=np.float64)
    weights = np.array([CALIBRATION_WEIGHT if page.source == "calibration" else 1.0 for page in chosen])

    def fit_on(rows: npt.NDArray[np.bool_]) -> Vector:
        return fit(
            np.vstack([matrix[rows] for matrix in matrices]),
            np.tile(is_rejected[rows], len(VIEWS)),
            np.concatenate([weights[rows] * weight for _, weight in VIEWS]),
            signs[columns],
        )

    folds = np.array([_fold(page.group) for page in chosen])
    logits = np.zeros((len(VIEWS), len(chosen)))
    for fold in range(NUM_FOLDS):
        fitted = fit_on(folds != fold)
        for view, matrix in enumerate(matrices):
            logits[view, folds == fold] = matrix[folds == fold] @ fitted[:-1] + fitted[-1]
    fitted = fit_on(np.ones(len(chosen), dtype=np.bool_))
    full = np.zeros(len(FEATURES) + 1)
    full[[*columns, len(FEATURES)]] = fitted
    return full, _rates(name, chosen, 1.0 / (1.0 + np.exp(-logits)))


def _fold(group: str) -> int:
    return hashlib.sha256(group.encode("utf-8")).digest()[0] % NUM_FOLDS


def _rates(name: str, pages: Sequence[Page], scores: Vector) -> list[str]:
    lines = [f"{name}: cross-validated, above each threshold"]
    kinds = {
        "development, reject": [page.source == "development" and not page.is_kept for page in pages],
        "development, keep": [page.source == "development" and page.is_kept for page in pages],
        "calibration": [page.source == "calibration" for page in pages],
    }
    for threshold in THRESHOLDS:
        parts = [
            f"{kind} {int((scores[0][rows] > threshold).sum())}/{int(np.sum(rows))}" for kind, rows in kinds.items()
        ]
        rejected = np.array(kinds["development, reject"])
        halves = " ".join(f"{100 * (view[rejected] > threshold).mean():.0f} %" for view in scores[1:])
        lines.append(f"  {threshold}: {'; '.join(parts)}; development, reject, with terms left out: {halves}")
    return lines


def table_text(promotion: Vector, boilerplate: Vector) -> str:
    """The table as it ships."""
    lines = [
        "# Weights of the promotion and boilerplate scores (_page_types.py), in units of the logit.",
        "# Fitted by benchmarks/tw_corpus/fit_page_types.py on the development pages, the package's test pages and the",
        f"# calibration half of the genuine genres; L2 penalty {PENALTY}; signs were fixed beforehand.",
        "# Columns: measure, scale, cap, weight in the promotion score, weight in the boilerplate score.",
        "# Scales: share value/cap; density log(1+v)/log(1+cap), v as if the text were",
        f"# {PRIOR_CHARS} characters longer; count log(1+v)/log(1+cap), v half the number in a text of {COUNT_CHARS}",
        "# characters, and so on; from the cap on a measure counts in full. Weight 0: takes no part.",
    ]
    rows = [(f.measure, f.scale.value, f"{f.cap:g}") for f in FEATURES] + [("intercept", "share", "1")]
    lines += ["\t".join([*row, f"{p:.2f}", f"{b:.2f}"]) for row, p, b in zip(rows, promotion, boilerplate, strict=True)]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Fit both scores; 2 without the shared data."""
    if "TWLLM_DATA" not in os.environ:
        sys.stderr.write("set TWLLM_DATA to the folder of the shared data\n")
        return 2
    pages = load_pages(Path(os.environ["TWLLM_DATA"]))
    views = scaled_features(pages)
    promotion, first = fit_score("promotion", PROMOTION_KINDS, pages, views)
    boilerplate, second = fit_score("boilerplate", BOILERPLATE_KINDS, pages, views)
    TABLE.write_text(table_text(promotion, boilerplate), encoding="utf-8")
    sys.stdout.write("\n".join([*first, *second, f"{TABLE.name} written"]) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
