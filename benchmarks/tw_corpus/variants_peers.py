"""What other tools say about the variety of a text, put into our labels; None where a tool says nothing.

Each tool can say some of the labels only: script tools know no region, canto-filter no Mainland.
"""

import re
import runpy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tw_corpus._variant import Variant

Said = Callable[[str], Variant | None]

BUILD_TABLE = Path(__file__).parents[2] / "packages" / "tw-corpus" / "tools" / "build_script_table.py"

# FineWeb-zhtw (arXiv 2411.16387; voidful/fineweb-zhtw@bd8784c), as corpus_and_training.md, section 4.2, gives it.
_FINEWEB_PREFILTER = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]{5,}")
_FINEWEB_WHITELIST = "床峰群秘霉庄痴雇简体踪"
_FINEWEB_WORDS = re.compile(
    r"云(?![:：])|气|愿|位于|致力于|屬于|售后|范圍|制作|由于|對于|用于|博客|易于|傢俬|信息|關于|并|采樣|前后|視頻|仲有|人民日報|么"
    r"|聯系|@163.com|采訪|采用|以后|建于|筑|粘|墻|公眾號"
)


def fineweb_zhtw() -> Said:
    """The published rule: a text that it keeps is taken for Taiwanese, of the others nothing is said.

    Its character sets are rebuilt from OpenCC as the brief describes them; the count differs a little from the
    3,758 characters that are published.
    """
    read: Callable[[str], Mapping[str, list[str]]] = runpy.run_path(str(BUILD_TABLE))["read_dictionary"]
    to_traditional, to_simplified = read("STCharacters"), read("TSCharacters")
    traditional = {target for targets in to_traditional.values() for target in targets} | set(to_simplified)
    simplified = set(to_traditional) | {target for targets in to_simplified.values() for target in targets}
    simplified_only = simplified - traditional - set(_FINEWEB_WHITELIST)
    traditional_only = traditional - simplified

    def said(text: str) -> Variant | None:
        characters = set(text)
        kept = (
            _FINEWEB_PREFILTER.search(text) is not None
            and not characters & simplified_only
            and bool(characters & traditional_only)
            and _FINEWEB_WORDS.search(text) is None
        )
        return Variant.ZH_TW if kept else None

    return said


def load_peers() -> dict[str, Said]:
    """Every tool by name; hanzidentifier, pycld2 and canto-filter must be installed (`uv run --with`)."""
    # installed for the benchmark only, and untyped
    import cantofilter  # pyright: ignore[reportMissingImports]
    import hanzidentifier  # pyright: ignore[reportMissingImports]
    import pycld2  # pyright: ignore[reportMissingImports]

    tools: Any = (hanzidentifier, pycld2, cantofilter)
    by_script = {tools[0].TRADITIONAL: Variant.ZH_TW, tools[0].SIMPLIFIED: Variant.ZH_CN}
    by_language = {"zh-Hant": Variant.ZH_TW, "zh": Variant.ZH_CN}
    # The tool calls written Chinese of any region `mandarin`.
    by_kind = {"cantonese": Variant.YUE}

    def cld2(text: str) -> Variant | None:
        try:
            _, _, details = tools[1].detect(text)
        except tools[1].error:
            return None
        return by_language.get(details[0][1])

    return {
        "FineWeb-zhtw rule": fineweb_zhtw(),
        "hanzidentifier": lambda text: by_script.get(tools[0].identify(text)),
        "pycld2": cld2,
        "canto-filter": lambda text: by_kind.get(str(tools[2].judge(text).value)),
    }
