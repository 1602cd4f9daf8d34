"""The dataset card that stands beside the shards."""

import json
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from twllm_types import JsonObject, RunManifest


def render_card(manifest: RunManifest, summary: JsonObject) -> str:
    """Return README.md of the output folder: what is in it, how it was made, what was left out and why.

    Args:
        manifest: of the run.
        summary: from `summarize`.
    """
    # Markdown, so nothing is escaped as HTML; texts of documents never stand in a card
    environment = Environment(  # noqa: S701
        loader=PackageLoader("tw_corpus", "templates"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    content: Any = summary
    outcomes: dict[str, dict[str, int]] = {}
    for row in content["funnel"]:
        counts = outcomes.setdefault(row["outcome"], {"documents": 0, "chars": 0})
        counts["documents"] += row["count"]
        counts["chars"] += row["num_chars"]
    recipe: Any = manifest.parameters["recipe"]
    return environment.get_template("card.md.jinja").render(
        counts=content["counts"],
        outcomes=sorted(outcomes.items(), key=lambda item: (item[0] != "kept", -item[1]["documents"], item[0])),
        recipe=recipe,
        rules=json.dumps(recipe["rules"], ensure_ascii=False, indent=2, sort_keys=True),
        packages=sorted(manifest.packages.items()),
        inputs=content["inputs"],
        num_pii=sum(content["personal_data"].values()),
        parquet=recipe["output_format"] == "parquet",
        size=_size_category(content["counts"]["num_kept"]),
    )


def _size_category(num_documents: int) -> str:
    """Return the Hub's size category."""
    names = ("n<1K", "1K<n<10K", "10K<n<100K", "100K<n<1M", "1M<n<10M", "10M<n<100M", "100M<n<1B")
    limits = (10**3, 10**4, 10**5, 10**6, 10**7, 10**8, 10**9)
    return next((name for name, limit in zip(names, limits, strict=True) if num_documents < limit), "n>1B")
