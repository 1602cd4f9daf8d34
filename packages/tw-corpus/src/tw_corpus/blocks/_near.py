"""Near-duplicates on datatrove's MinHash stages: our signature, its search in buckets, our clusters, its filter."""
# datatrove's blocks are untyped in part
# pyright: standard

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from datatrove.data import Document
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets, MinhashDedupFilter
from datatrove.pipeline.writers.disk_base import DiskWriter
from datatrove.utils.hashing import HashConfig

from tw_corpus._clusters import LAST_CHOICE, agreement, first_of_clusters
from tw_corpus._minhash import MinHasher, MinHashOptions
from tw_corpus._script import Script, script_of


class NearSignature(PipelineStep):
    """Writes the MinHash signatures of one task's documents in the format of datatrove's first stage.

    Unlike datatrove's own block it hashes characters of script-folded text, in blocks of the processor's cache, and
    marks documents in Simplified characters, so that a Traditional one of the same cluster stays in their place.
    """

    type = "🫂 - DEDUPS"
    name = "tw-corpus MinHash signatures"

    def __init__(self, folder: Path, options: MinHashOptions) -> None:
        """Write `<folder>/bucket_<bucket>/<rank>.minhash.sig`, and `<folder>/whole/<rank>.npy` to verify pairs with.

        Args:
            folder: of all signatures.
            options: must be the same in all near-duplicate steps.
        """
        super().__init__()
        self.folder = folder
        self.options = options

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Write the signatures of all documents; yields nothing."""
        hasher = MinHasher(self.options)
        signatures: list[Any] = []
        numbers: list[int] = []
        for number, document in enumerate(data or ()):
            with self.track_time():
                self.stat_update("total")
                signature = hasher.signature(document.text)
                if signature is not None:
                    signatures.append(signature)
                    is_simplified = script_of(document.text).script is Script.HANS
                    numbers.append(number | LAST_CHOICE if is_simplified else number)
        self._write(signatures, numbers, rank)
        yield from ()

    def _write(self, signatures: list[Any], numbers: list[int], rank: int) -> None:
        per_bucket = self.options.hashes_per_bucket
        rows = np.array(signatures, dtype="<u4").reshape(len(numbers), self.options.num_hashes)
        _write_whole(_whole_path(self.folder, rank), rows, numbers)
        for bucket in range(self.options.num_buckets):
            records = np.empty((len(numbers), per_bucket + 1), dtype="<u4")
            records[:, :per_bucket] = rows[:, bucket * per_bucket : (bucket + 1) * per_bucket]
            records[:, per_bucket] = numbers
            # lexsort takes its last key first
            order = np.lexsort(records.T[::-1])
            path = self.folder / f"bucket_{bucket:03d}" / f"{rank:05d}.minhash.sig"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(records[order].tobytes())


class NearClusters(PipelineStep):
    """Turns the pairs that agree in a bucket into clusters, of which one document stays.

    It is the first that is not in Simplified characters, else the first.

    datatrove's own stage keeps whichever document joined the largest set, and writes nothing for tasks without
    duplicates, where its filter then leaves the cluster sizes out.
    """

    type = "🫂 - DEDUPS"
    name = "tw-corpus near-duplicate clusters"

    def __init__(self, pairs: Path, folder: Path, options: MinHashOptions, *, signatures: Path, num_tasks: int) -> None:
        """Write `<folder>/<task>.remove` and `.sizes` for every task.

        Args:
            pairs: folder of the bucket search.
            folder: of the result.
            options: must be the same in all near-duplicate steps.
            signatures: folder that `NearSignature` wrote.
            num_tasks: tasks that wrote signatures.
        """
        super().__init__()
        self.pairs = pairs
        self.folder = folder
        self.options = options
        self.signatures = signatures
        self.num_tasks = num_tasks

    def run(self, data: Iterable[Document] | None = None, rank: int = 0, world_size: int = 1) -> Iterator[Document]:
        """Cluster; yields nothing."""
        files = sorted(self.pairs.glob("*.dups"))
        read = [np.fromfile(path, dtype="<u4").reshape(-1, 4) for path in files]
        self.folder.mkdir(parents=True, exist_ok=True)
        # one pair may agree in several buckets
        found = np.unique(np.concatenate(read), axis=0) if read else np.empty((0, 4), dtype="<u4")
        verified = self._verified(found)
        self.stat_update("pairs_below_min_agreement", value=len(found) - len(verified))
        clusters = first_of_clusters(verified)
        for task in range(self.num_tasks):
            members = clusters[clusters[:, 0] == task]
            removed = members[members[:, 3] == 0][:, 1]
            (self.folder / f"{task:06d}.remove").write_bytes(removed.astype("<u4").tobytes())
            (self.folder / f"{task:06d}.sizes").write_bytes(members[:, 1:3].astype("<u4").tobytes())
        self.stat_update("to_remove", value=int((clusters[:, 3] == 0).sum()))
        yield from ()

    def _verified(self, pairs: Any) -> Any:
        """Return the pairs whose whole signatures agree often enough."""
        if self.options.min_agreement is None or not len(pairs):
            return pairs
        documents, edges = np.unique(pairs.reshape(-1, 2), axis=0, return_inverse=True)
        scratch = self.folder / "rows.npy"
        # on disk: at 224 bytes each, the documents of a large corpus would not fit into memory
        rows = np.lib.format.open_memmap(
            scratch, mode="w+", dtype="<u2", shape=(len(documents), self.options.num_hashes)
        )
        for task in np.unique(documents[:, 0]).tolist():
            whole = np.load(_whole_path(self.signatures, task), mmap_mode="r")
            members = np.flatnonzero(documents[:, 0] == task)
            # both are sorted by number, flags included
            at = np.searchsorted(whole["number"], documents[members, 1])
            rows[members] = whole["hashes"][at]
        shares = agreement(rows, edges.reshape(-1, 2))
        del rows
        scratch.unlink()
        return pairs[shares >= self.options.min_agreement]


def _whole_path(signatures: Path, rank: int) -> Path:
    return signatures / "whole" / f"{rank:05d}.npy"


def _write_whole(path: Path, rows: Any, numbers: list[int]) -> None:
    """Write the low halves of all hashes, sorted by the document's number as the search passes it on."""
    whole = np.empty(len(numbers), dtype=[("number", "<u4"), ("hashes", "<u2", rows.shape[1:])])
    whole["number"] = numbers
    whole["hashes"] = rows & 0xFFFF
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, whole[np.argsort(whole["number"])])


def near_search(signatures: Path, pairs: Path, options: MinHashOptions) -> list[PipelineStep]:
    """Return the step that searches one bucket per task; it needs `options.num_buckets` tasks."""
    return [MinhashDedupBuckets(str(signatures), str(pairs), config=_datatrove_config(options))]


def near_filter(clusters: Path, exclusion_writer: DiskWriter | None) -> PipelineStep:
    """Return the step that drops all but one of a cluster and notes `minhash_cluster_size` on what stays."""
    # datatrove annotates the optional argument without None
    return MinhashDedupFilter(str(clusters), exclusion_writer, load_cluster_sizes=True)  # pyright: ignore[reportArgumentType]


def _datatrove_config(options: MinHashOptions) -> MinhashConfig:
    return MinhashConfig(
        n_grams=options.shingle_chars,
        num_buckets=options.num_buckets,
        hashes_per_bucket=options.hashes_per_bucket,
        seed=options.seed,
        hash_config=HashConfig(precision=32, hash_fc="xxhash"),
    )
