"""The TMLU exam benchmark: exam data, prompts exact to the byte, readers of answers, and honest statistics."""

from tmlu_bench._extract import extract_answer
from tmlu_bench._extraction import Extraction, ExtractionStatus, Extractor
from tmlu_bench._permute import (
    OptionRoles,
    OrderReason,
    PermutedQuestion,
    option_roles,
    permute_circular,
    permute_seeded,
)
from tmlu_bench._prompts import Prompt, build_prompt
from tmlu_bench._protocols import PROTOCOLS, ExamProtocol, Layout, PromptForm, Scoring, get_protocol
from tmlu_bench._question_set import (
    FaultReason,
    Origin,
    QuestionSet,
    SourceFault,
    SourceFile,
    SourceFormat,
    SubjectQuestions,
)
from tmlu_bench._sources import load_questions
from tmlu_bench._subjects import SUBJECT_TABLE_VERSION, Subject, find_subject, load_subjects
from tmlu_bench._tc_eval import (
    ReadingQuestion,
    ReadingScores,
    build_reading_prompt,
    load_reading_questions,
    score_reading,
)
from tmlu_bench._validate import Finding, FindingKind, Severity, validate_questions

__all__ = [
    "PROTOCOLS",
    "SUBJECT_TABLE_VERSION",
    "ExamProtocol",
    "Extraction",
    "ExtractionStatus",
    "Extractor",
    "FaultReason",
    "Finding",
    "FindingKind",
    "Layout",
    "OptionRoles",
    "OrderReason",
    "Origin",
    "PermutedQuestion",
    "Prompt",
    "PromptForm",
    "QuestionSet",
    "ReadingQuestion",
    "ReadingScores",
    "Scoring",
    "Severity",
    "SourceFault",
    "SourceFile",
    "SourceFormat",
    "Subject",
    "SubjectQuestions",
    "build_prompt",
    "build_reading_prompt",
    "extract_answer",
    "find_subject",
    "get_protocol",
    "load_questions",
    "load_reading_questions",
    "load_subjects",
    "option_roles",
    "permute_circular",
    "permute_seeded",
    "score_reading",
    "validate_questions",
]
