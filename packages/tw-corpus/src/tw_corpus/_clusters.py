"""Clusters from pairs: who belongs together, and who stays."""

from typing import Final

import numpy as np
import numpy.typing as npt

# On the number of a document: it stays only where all of its cluster carry it. It travels with the number through
# stages that pass on nothing else; no task has 2**31 documents, whose signatures would be held in memory at once.
LAST_CHOICE: Final = 1 << 31
_NUMBER_BITS = 31


def first_of_clusters(pairs: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Find the connected components of documents and the document of each that stays.

    It is the first by task and number of those without `LAST_CHOICE`; where all carry it, the first of all.

    Args:
        pairs: shape (N, 4): task and number of one document, task and number of another. Order and repetition make no
            difference. Numbers and tasks are below 2**31; `LAST_CHOICE` may be added to a number.

    Returns:
        Shape (M, 4), sorted by task and number: for each document that is in a pair its task, its number, the size of
        its cluster, and 1 where it stays, else 0.
    """
    ends = pairs.astype(np.int64).reshape(-1, 2)
    tasks, numbers = ends[:, 0], ends[:, 1]
    is_last_choice, numbers = numbers >> _NUMBER_BITS, numbers & (LAST_CHOICE - 1)
    keys = (is_last_choice << 2 * _NUMBER_BITS) | (tasks << _NUMBER_BITS) | numbers
    documents, index = np.unique(keys, return_inverse=True)
    roots = _components(index.reshape(-1, 2), len(documents))
    sizes = np.bincount(roots, minlength=len(documents))
    # documents are sorted by preference, and every root is the smallest of its component
    stays = roots == np.arange(len(documents))
    tasks, numbers = (documents >> _NUMBER_BITS) & (LAST_CHOICE - 1), documents & (LAST_CHOICE - 1)
    found = np.stack([tasks, numbers, sizes[roots], stays.astype(np.int64)], axis=1)
    return found[np.lexsort((numbers, tasks))]


def agreement(
    rows: npt.NDArray[np.uint16], edges: npt.NDArray[np.intp], *, edges_at_once: int = 65_536
) -> npt.NDArray[np.float64]:
    """Return in which share of the hashes the two documents of each edge agree: an estimate of their similarity.

    Args:
        rows: shape (D, H): the low 16 bits of each document's hashes, which agree by chance once in 65,536.
        edges: shape (E, 2): indices into `rows`.
        edges_at_once: bounds the memory.

    Returns:
        Shape (E,), in [0, 1].
    """
    shares = np.empty(len(edges), dtype=np.float64)
    for start in range(0, len(edges), edges_at_once):
        one, other = edges[start : start + edges_at_once].T
        shares[start : start + edges_at_once] = (rows[one] == rows[other]).mean(axis=1)
    return shares


def _components(edges: npt.NDArray[np.intp], num_nodes: int) -> npt.NDArray[np.intp]:
    """Return for every node the smallest node of its component; min-label propagation with pointer jumping."""
    labels = np.arange(num_nodes)
    if not len(edges):
        return labels
    one, other = edges[:, 0], edges[:, 1]
    while True:
        lowest = np.minimum(labels[one], labels[other])
        updated = labels.copy()
        # a root takes the lowest label that an edge brings it, so that whole trees move at once
        np.minimum.at(updated, labels[one], lowest)
        np.minimum.at(updated, labels[other], lowest)
        while not np.array_equal(jumped := updated[updated], updated):
            updated = jumped
        if np.array_equal(updated, labels):
            return labels
        labels = updated
