"""Write `tables/script_characters.txt` from the dictionaries of the `opencc` package (development group).

Example: python packages/tw-corpus/tools/build_script_table.py

A character is Simplified-only if OpenCC maps it to Traditional characters other than itself and no Traditional
text holds it: not as a target of STCharacters, a key of TSCharacters, or a regional form in TWVariants or
HKVariants. Without the last two, 30 characters that Taiwan or Hong Kong write (群 峰 床 秘 …) would count as
Simplified (corpus_and_training.md, section 4.2). A character is Traditional-only if TSCharacters maps it to
characters other than itself and no Simplified text holds it.
"""

import subprocess
import sys
import tempfile
from importlib.metadata import distribution, version
from pathlib import Path

TABLE = Path(__file__).parents[1] / "src" / "tw_corpus" / "tables" / "script_characters.txt"
CHARACTERS_PER_LINE = 80


def read_dictionary(name: str) -> dict[str, list[str]]:
    """Read one dictionary of the installed `opencc` package: character to its targets, best first."""
    clib = Path(str(distribution("opencc").locate_file("opencc"))) / "clib"
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / f"{name}.txt"
        source = clib / "share" / "opencc" / f"{name}.ocd2"
        command = [clib / "bin" / "opencc_dict", "-i", source, "-o", output, "-f", "ocd2", "-t", "text"]
        subprocess.run(command, check=True, capture_output=True)
        rows = [line.split("\t") for line in output.read_text(encoding="utf-8").splitlines() if "\t" in line]
    return {key: targets.split() for key, targets in rows}


def script_characters() -> tuple[set[str], set[str]]:
    """Simplified-only and Traditional-only characters."""
    to_traditional = read_dictionary("STCharacters")
    to_simplified = read_dictionary("TSCharacters")
    regional = [read_dictionary(name) for name in ("TWVariants", "HKVariants")]
    traditional = {target for targets in to_traditional.values() for target in targets} | set(to_simplified)
    traditional |= {target for table in regional for targets in table.values() for target in targets}
    simplified = {target for targets in to_simplified.values() for target in targets} | set(to_traditional)
    return set(to_traditional) - traditional, set(to_simplified) - simplified


def render_table() -> str:
    """The table as it is kept in the package."""
    simplified, traditional = script_characters()
    lines = [
        "# Characters that only Simplified, or only Traditional, Chinese text holds; written by",
        "# tools/build_script_table.py, not by hand.",
        f"# Derived from the dictionaries of OpenCC {version('opencc')} (https://github.com/BYVoid/OpenCC),",
        "# Copyright BYVoid and contributors, Apache License 2.0; changed: reduced to two sets of characters.",
    ]
    for name, characters in (("simplified_only", simplified), ("traditional_only", traditional)):
        lines.append(f"[{name}]")
        ordered = "".join(sorted(characters))
        lines += [ordered[i : i + CHARACTERS_PER_LINE] for i in range(0, len(ordered), CHARACTERS_PER_LINE)]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the table."""
    TABLE.write_text(render_table(), encoding="utf-8")
    sys.stdout.write(f"{TABLE.name}: {TABLE.stat().st_size} bytes\n")


if __name__ == "__main__":
    main()
