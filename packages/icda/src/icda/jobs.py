"""The stages as resumable jobs: generate, score, select, review, train, the whole run, report, export."""

from icda._data import IntentData, RowFields, load_intent_data
from icda._evaluate import ArmResult, Trained
from icda._export import ExportFormat, export_examples
from icda._export_rows import rows_to_export
from icda._generate import GenerateRun, read_candidates, read_generated, run_generate
from icda._generate_settings import GenerateSettings, PlannedRequest, plan_request
from icda._given_pool import CleanedPool, clean_pool, pool_candidates
from icda._pool import IntentYield
from icda._recipe import IcdaRecipe
from icda._recipe_classifier import ClassifierSettings, FeatureSettings, MadeClassifier, make_classifier
from icda._recipe_data import DataFile, DataSettings
from icda._report import write_report
from icda._requests import TokenTotals
from icda._review import ReviewChanges, ReviewRow, read_review, review_changes, write_review
from icda._run import IcdaDraw, IcdaRun, read_icda, run_icda
from icda._run_data import RunData, load_run_data
from icda._run_score import ScoreJob, ScoreRun, load_candidates, read_scored, run_score
from icda._run_select import CandidateDecision, SelectJob, SelectRun, read_selected, run_select
from icda._run_train import TrainRun, read_trained, read_training_rows, run_train
from icda._score import ScoreSettings
from icda._splits import IndexSplit, few_shot_rows, load_index_splits, write_index_splits
from icda._threshold_settings import ThresholdSettings
from icda._train_settings import TrainDraw, TrainJob, TrainSettings

__all__ = [
    "ArmResult",
    "CandidateDecision",
    "ClassifierSettings",
    "CleanedPool",
    "DataFile",
    "DataSettings",
    "ExportFormat",
    "FeatureSettings",
    "GenerateRun",
    "GenerateSettings",
    "IcdaDraw",
    "IcdaRecipe",
    "IcdaRun",
    "IndexSplit",
    "IntentData",
    "IntentYield",
    "MadeClassifier",
    "PlannedRequest",
    "ReviewChanges",
    "ReviewRow",
    "RowFields",
    "RunData",
    "ScoreJob",
    "ScoreRun",
    "ScoreSettings",
    "SelectJob",
    "SelectRun",
    "ThresholdSettings",
    "TokenTotals",
    "TrainDraw",
    "TrainJob",
    "TrainRun",
    "TrainSettings",
    "Trained",
    "clean_pool",
    "export_examples",
    "few_shot_rows",
    "load_candidates",
    "load_index_splits",
    "load_intent_data",
    "load_run_data",
    "make_classifier",
    "plan_request",
    "pool_candidates",
    "read_candidates",
    "read_generated",
    "read_icda",
    "read_review",
    "read_scored",
    "read_selected",
    "read_trained",
    "read_training_rows",
    "review_changes",
    "rows_to_export",
    "run_generate",
    "run_icda",
    "run_score",
    "run_select",
    "run_train",
    "write_index_splits",
    "write_report",
    "write_review",
]
