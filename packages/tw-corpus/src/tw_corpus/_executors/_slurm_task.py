"""One element of an array job: `python -m tw_corpus._executors._slurm_task FOLDER ELEMENT`, run on a node by Slurm."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tw_corpus._executors._shipment import run_packed
from tw_corpus._executors._slurm_submission import load_submission
from tw_corpus._executors._task import raise_file_limit


def main(words: Sequence[str]) -> int:
    """Do the tasks of an array element; stop at the first that fails, and note why.

    Args:
        words: folder of the submission, number of the element.

    Returns:
        Exit code: 0 where every task is through, else 1.
    """
    raise_file_limit()
    submission = load_submission(Path(words[0]))
    packed = submission.packed.read_bytes()
    for rank in submission.ranks_of(int(words[1])):
        failure = run_packed(packed, rank)
        if failure is not None:
            submission.store_failure(rank, failure)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
