"""Write `tables/folded_characters.txt` from the dictionaries of the `opencc` package (development group).

Example: python packages/tw-corpus/tools/build_fold_table.py

Every character that Traditional text writes, in Taiwan, in Hong Kong or as a further variant, with the one Simplified
character that stands for it: the first target of TSCharacters; for a regional form of TWVariants or HKVariants the
target of the form that it varies. One character becomes one character and no context is looked at, so that offsets
stay what they were and every text folds to the same form whatever wrote it. 著 folds to 着, as the forms are one word
in most of their uses and Taiwan writes one of them only.
"""

import runpy
import sys
from importlib.metadata import version
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src" / "tw_corpus" / "tables" / "folded_characters.txt"
PAIRS_PER_LINE = 40
# The same word in both regions although OpenCC keeps the two apart.
ADDED = {"著": "着"}


def folded_characters() -> dict[str, str]:
    """Character to the Simplified character that stands for it, for those that change."""
    read = runpy.run_path(str(Path(__file__).with_name("build_script_table.py")))["read_dictionary"]
    to_simplified: dict[str, list[str]] = read("TSCharacters")
    folded: dict[str, str] = {key: targets[0] for key, targets in to_simplified.items()}
    for name in ("TWVariants", "HKVariants"):
        regional: dict[str, list[str]] = read(name)
        for standard, variants in regional.items():
            for variant in variants:
                folded.setdefault(variant, folded.get(standard, standard))
    folded |= ADDED
    # A chain (a variant of a variant) ends in one step.
    folded = {key: folded.get(target, target) for key, target in folded.items()}
    return {key: target for key, target in sorted(folded.items()) if key != target}


def render_table() -> str:
    """The table as it is kept in the package."""
    pairs = [key + target for key, target in folded_characters().items()]
    lines = [
        "# Characters of Traditional text, each followed by the Simplified character whatever the context;",
        "# written by tools/build_fold_table.py, not by hand.",
        f"# Derived from the dictionaries of OpenCC {version('opencc')} (https://github.com/BYVoid/OpenCC),",
        "# Copyright BYVoid and contributors, Apache License 2.0; changed: one target for each character.",
    ]
    lines += ["".join(pairs[i : i + PAIRS_PER_LINE]) for i in range(0, len(pairs), PAIRS_PER_LINE)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    TABLE.write_text(render_table(), encoding="utf-8")
    sys.stdout.write(f"{TABLE.name}: {TABLE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
