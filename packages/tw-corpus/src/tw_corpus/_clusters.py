"""Clusters from pairs: who belongs together, and who stays."""

import numpy as np
import numpy.typing as npt


def first_of_clusters(pairs: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """Find the connected components of documents and the first document of each.

    Args:
        pairs: shape (N, 4): task and number of one document, task and number of another. Order and repetition make no
            difference.

    Returns:
        Shape (M, 4), sorted by task and number: for each document that is in a pair its task, its number, the size of
        its cluster, and 1 where it is the first of the cluster, else 0.
    """
    ends = pairs.astype(np.int64).reshape(-1, 2)
    keys = (ends[:, 0] << 32) | ends[:, 1]
    documents, index = np.unique(keys, return_inverse=True)
    roots = _components(index.reshape(-1, 2), len(documents))
    sizes = np.bincount(roots, minlength=len(documents))
    # documents are sorted, and every root is the smallest of its component
    first = roots == np.arange(len(documents))
    return np.stack([documents >> 32, documents & 0xFFFFFFFF, sizes[roots], first.astype(np.int64)], axis=1)


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
