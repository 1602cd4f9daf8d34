"""From a report to one HTML string."""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from twllm_runs.report._blocks import Block, Figures, Links, Prose, Report, Samples
from twllm_runs.report._charts import Bars, Heatmap, Histogram, Intervals, Lines, Scatter
from twllm_runs.report._plots import histogram_view, lines_view, scatter_view
from twllm_runs.report._table import Table
from twllm_runs.report._views import bars_view, figures_view, heatmap_view, intervals_view, samples_view, table_view


@dataclass(frozen=True, slots=True, kw_only=True)
class _SectionView:
    title: str
    intro: str
    blocks: tuple[Markup, ...]


def render_report(report: Report) -> str:
    """Render a report as one HTML document that needs no other file and no network.

    The same report gives the same string, byte for byte. All text is escaped; control characters and lone surrogates
    are made visible, so that the result can be written as UTF-8. The Content-Security-Policy allows the one inline
    script by its hash and forbids any request.
    """
    environment = _environment()
    script = _resource("report.js")
    sections = tuple(
        _SectionView(
            title=section.title,
            intro=section.intro,
            blocks=tuple(_render_block(environment, block) for block in section.blocks),
        )
        for section in report.sections
    )
    # The stylesheet, the script and its hash are this package's own; nothing of a report is in them.
    return environment.get_template("report.html.j2").render(
        report=report,
        sections=sections,
        style=Markup(_resource("report.css")),  # noqa: S704
        script=Markup(script),  # noqa: S704
        script_hash=b64encode(sha256(script.encode("utf-8")).digest()).decode("ascii"),
    )


def _render_block(environment: Environment, block: Block) -> Markup:
    name, view = _view(block)
    html = environment.get_template(f"{name}.html.j2").render(view=view)
    # The template escaped what it was given.
    return Markup(html)  # noqa: S704


def _view(block: Block) -> tuple[str, object]:  # noqa: C901
    """Template of a block and what it is given."""
    match block:
        case Table():
            return "table", table_view(block)
        case Bars():
            return "bars", bars_view(block)
        case Histogram():
            return "plot", histogram_view(block)
        case Lines():
            return "plot", lines_view(block)
        case Scatter():
            return "plot", scatter_view(block)
        case Intervals():
            return "intervals", intervals_view(block)
        case Heatmap():
            return "heatmap", heatmap_view(block)
        case Samples():
            return "samples", samples_view(block)
        case Figures():
            return "figures", figures_view(block)
        case Prose():
            return "prose", block
        case Links():
            return "links", block


def _environment() -> Environment:
    return Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )


def _resource(name: str) -> str:
    return (files("twllm_runs.report") / "templates" / name).read_text(encoding="utf-8")


# Overrides of the writing direction would show a text in another order than it has.
_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS = {
    **{code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"},
    0x7F: "\u2421",
    **dict.fromkeys((*range(0x80, 0xA0), *_BIDI, *range(0xD800, 0xE000), 0xFFFE, 0xFFFF), "\ufffd"),
}


def _visible(value: object) -> object:
    """Replace what HTML or UTF-8 cannot hold by signs that show that it was there."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return value.replace("\r\n", "\n").translate(_CONTROLS)
    return value
