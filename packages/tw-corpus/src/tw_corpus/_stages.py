"""The stages of a curation, as datatrove pipelines. Each is complete or repeated; none depends on the workers."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.writers.disk_base import DiskWriter

from tw_corpus._executors import Stage
from tw_corpus._plan import StoredTasks
from tw_corpus._recipe import CurationRecipe, OutputFormat
from tw_corpus._tally import EXACT_DUPLICATE, NEAR_DUPLICATE, Tally
from tw_corpus.blocks import (
    ClassifyVariant,
    CollectParagraphs,
    CorpusReader,
    CountOutcome,
    CountParagraphs,
    Decontaminate,
    NearClusters,
    NearSignature,
    Normalize,
    PluginFilter,
    Publish,
    Published,
    QualityFilter,
    ReadShard,
    Redact,
    RejectedWriter,
    RemoveParagraphs,
    ShardWriter,
    StripBoilerplate,
    document_writer,
    exact_filter,
    exact_search,
    exact_signatures,
    near_filter,
    near_search,
)

# stages whose tallies make up the account
COUNTED_STAGES = ("filter", "paragraphs", "write")

_SHARD = ".jsonl.zst"
_REJECTED = ".jsonl.gz"
_DOCUMENTS = {OutputFormat.PARQUET: ".parquet", OutputFormat.JSONL: ".jsonl.gz"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Folders of one run; everything under `work` can be made again.

    Attributes:
        output: the run folder.
        work: intermediate files.
        attempt: files of tasks in progress, of this invocation only.
    """

    output: Path
    work: Path
    attempt: Path

    @property
    def progress(self) -> Path:
        """Where readers note how far they are."""
        return self.work / "progress"

    @property
    def faults(self) -> Path:
        """Fault lists, one per task."""
        return self.work / "faults"

    @property
    def hits(self) -> Path:
        """Benchmark items found, one list per task."""
        return self.work / "contamination"

    def logs(self, stage: str) -> Path:
        """Logs, statistics and completions of a stage."""
        return self.work / "logs" / stage

    def tally(self, stage: str) -> Path:
        """Tallies of a stage, one per task."""
        return self.work / "tally" / stage

    def kept(self, stage: str) -> Path:
        """Documents that a stage passes on."""
        return self.work / "kept" / stage

    def rejected(self, name: str) -> Path:
        """Documents that were left out."""
        return self.output / "rejected" / name

    def intermediates(self) -> tuple[Path, ...]:
        """Folders that nobody reads once every stage is through."""
        names = ("attempts", "kept", "progress", "exact", "near", "paragraphs")
        return tuple(self.work / name for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a curation is going to do.

    Attributes:
        tasks: files by task.
        recipe: decides the result.
        benchmarks: files or folders to keep out.
        layout: folders.
    """

    tasks: StoredTasks
    recipe: CurationRecipe
    benchmarks: tuple[Path, ...]
    layout: Layout

    @property
    def num_tasks(self) -> int:
        """Tasks of every stage that goes through the documents."""
        return len(self.tasks)


def filter_stage(plan: Plan) -> Stage:
    """Read, normalise, redact, judge, decontaminate, classify, ask plug-ins: all that looks at one document alone."""
    recipe, layout, tally = plan.recipe, plan.layout, Tally()
    attempt = layout.attempt / "filter"
    reader = CorpusReader(
        plan.tasks, recipe.reading, tally=tally, faults_folder=attempt / "faults", progress_folder=layout.progress
    )
    steps: list[PipelineStep] = [reader, Normalize(tally=tally)]
    if recipe.strip_boilerplate:
        steps.append(StripBoilerplate(tally=tally))
    if recipe.pii is not None:
        # before anything is rejected: what is rejected is stored and shown too
        steps.append(Redact(recipe.pii.mode, kinds=recipe.pii.kinds, key_file=recipe.pii.key_file, counts=tally.pii))
    steps.append(QualityFilter(recipe.rules, exclusion_writer=RejectedWriter(attempt / "quality"), tally=tally))
    if plan.benchmarks:
        steps.append(
            Decontaminate(
                plan.benchmarks,
                recipe.decontamination,
                tally=tally,
                hits_folder=attempt / "hits",
                exclusion_writer=RejectedWriter(attempt / "contaminated"),
            )
        )
    if recipe.variants is not None:
        steps.append(
            ClassifyVariant(recipe.variants, tally=tally, exclusion_writer=RejectedWriter(attempt / "variant"))
        )
    if recipe.measures:
        # last, for nothing costs more: what is dropped before need not be measured
        steps.append(PluginFilter(recipe.measures, tally=tally, exclusion_writer=RejectedWriter(attempt / "plugin")))
    published = [
        Published(attempt=attempt / "faults", final=layout.faults, suffix=".jsonl"),
        Published(attempt=attempt / "hits", final=layout.hits, suffix=".jsonl"),
        *(
            Published(attempt=attempt / name, final=layout.rejected(name), suffix=_REJECTED)
            for name in ("quality", "contaminated", "variant", "plugin")
        ),
        Published(attempt=attempt / "kept", final=layout.kept("filter"), suffix=_SHARD, always=True),
    ]
    steps += [
        ShardWriter(attempt / "kept"),
        Publish(published, tally_folder=layout.tally("filter"), tally=tally),
    ]
    return Stage(name="filter", steps=steps, num_tasks=plan.num_tasks)


def later_stages(plan: Plan) -> Iterator[Stage]:
    """Yield the stages that compare documents with each other, and the one that writes the result, in order."""
    if not plan.num_tasks:
        return
    yield from _paragraph_stages(plan)
    yield from _exact_stages(plan)
    yield from _near_stages(plan)
    yield _write_stage(plan)


def _paragraph_stages(plan: Plan) -> Iterator[Stage]:
    options, layout = plan.recipe.repeated_paragraphs, plan.layout
    if options is None:
        return
    folder, num_buckets = layout.work / "paragraphs", plan.recipe.search_buckets
    shards = ReadShard(layout.kept("filter"))
    collect = [shards, CollectParagraphs(folder / "hashes", options, num_buckets=num_buckets)]
    yield Stage(name="paragraph-hashes", steps=collect, num_tasks=plan.num_tasks)
    count = [CountParagraphs(folder / "hashes", folder / "repeated", options)]
    yield Stage(name="paragraph-counts", steps=count, num_tasks=num_buckets)
    tally, attempt = Tally(), layout.attempt / "paragraphs"
    rejected = RejectedWriter(attempt / "rejected")
    steps = [
        shards,
        RemoveParagraphs(folder / "repeated", options, tally=tally, exclusion_writer=rejected),
        ShardWriter(attempt / "kept"),
        Publish(
            [
                Published(attempt=attempt / "rejected", final=layout.rejected("paragraphs"), suffix=_REJECTED),
                Published(attempt=attempt / "kept", final=layout.kept("paragraphs"), suffix=_SHARD, always=True),
            ],
            tally_folder=layout.tally("paragraphs"),
            tally=tally,
        ),
    ]
    yield Stage(name="paragraphs", steps=steps, num_tasks=plan.num_tasks)


def _exact_stages(plan: Plan) -> Iterator[Stage]:
    if not plan.recipe.exact_dedup:
        return
    folder, num_buckets = plan.layout.work / "exact", plan.recipe.search_buckets
    (folder / "duplicates").mkdir(parents=True, exist_ok=True)
    signing = [_shards(plan), *exact_signatures(folder / "signatures", num_buckets=num_buckets)]
    yield Stage(name="exact-signatures", steps=signing, num_tasks=plan.num_tasks)
    search = exact_search(folder / "signatures", folder / "duplicates")
    yield Stage(name="exact-search", steps=search, num_tasks=num_buckets)


def _near_stages(plan: Plan) -> Iterator[Stage]:
    options = plan.recipe.near_dedup
    if options is None:
        return
    folder = plan.layout.work / "near"
    signing = [*_without_exact(plan, None), NearSignature(folder / "signatures", options)]
    yield Stage(name="near-signatures", steps=signing, num_tasks=plan.num_tasks)
    search = near_search(folder / "signatures", folder / "pairs", options)
    yield Stage(name="near-search", steps=search, num_tasks=options.num_buckets)
    clusters = [
        NearClusters(
            folder / "pairs",
            folder / "clusters",
            options,
            signatures=folder / "signatures",
            num_tasks=plan.num_tasks,
        )
    ]
    yield Stage(name="near-clusters", steps=clusters, num_tasks=1)


def _write_stage(plan: Plan) -> Stage:
    recipe, layout, tally = plan.recipe, plan.layout, Tally()
    attempt = layout.attempt / "write"
    steps = _without_exact(plan, RejectedWriter(attempt / EXACT_DUPLICATE, reason=EXACT_DUPLICATE, tally=tally))
    if recipe.near_dedup is not None:
        rejected = RejectedWriter(attempt / NEAR_DUPLICATE, reason=NEAR_DUPLICATE, tally=tally)
        steps.append(near_filter(layout.work / "near" / "clusters", rejected))
    steps += [
        CountOutcome(tally),
        document_writer(attempt / "documents", recipe.output_format),
        Publish(
            [
                *(
                    Published(attempt=attempt / name, final=layout.rejected(name), suffix=_REJECTED)
                    for name in (EXACT_DUPLICATE, NEAR_DUPLICATE)
                ),
                Published(
                    attempt=attempt / "documents",
                    final=layout.output / "documents",
                    suffix=_DOCUMENTS[recipe.output_format],
                ),
            ],
            tally_folder=layout.tally("write"),
            tally=tally,
        ),
    ]
    return Stage(name="write", steps=steps, num_tasks=plan.num_tasks)


def _shards(plan: Plan) -> ReadShard:
    """Return the reader of the documents that the single-document stages left."""
    stage = "filter" if plan.recipe.repeated_paragraphs is None else "paragraphs"
    return ReadShard(plan.layout.kept(stage))


def _without_exact(plan: Plan, rejected: DiskWriter | None) -> list[PipelineStep]:
    """Return the steps that read the documents and drop exact duplicates, so that later stages number them alike."""
    duplicates = plan.layout.work / "exact" / "duplicates"
    return [_shards(plan), *([exact_filter(duplicates, rejected)] if plan.recipe.exact_dedup else [])]
