import runpy
from pathlib import Path
from typing import Any

TOOL: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[1] / "tools" / "build_extractor_table.py"))


def test_documented_table_is_current() -> None:
    page = TOOL["PAGE"].read_text(encoding="utf-8")
    assert TOOL["render_page"](page, TOOL["render_section"](TOOL["read_forms"]())) == page
