"""The report as a document: self-contained, escaped, repeatable, readable."""

import re
import shutil
import subprocess
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twllm_runs.report import (
    Bar,
    Bars,
    Block,
    Column,
    Fact,
    Figure,
    Figures,
    Heatmap,
    Histogram,
    IntervalRow,
    Intervals,
    Line,
    Lines,
    Link,
    Links,
    Point,
    Prose,
    Report,
    Sample,
    Samples,
    Scatter,
    Section,
    Table,
    Threshold,
    render_report,
)
from twllm_runs.statistics import proportion_estimate

NASTY = "</script><script>alert(1)</script><img src=x onerror=alert(2)>{{ 7*7 }}{% raw %}]]><!-- & \"q\" 's'"


class Page(HTMLParser):
    """Tags, attributes and text of a document, as a browser would read them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.script = ""
        self._inside = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.script += data
        elif self._inside != "style":
            self.texts.append(data)

    @property
    def text(self) -> str:
        return "".join(self.texts)

    def named(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    def of_class(self, css: str) -> list[dict[str, str | None]]:
        return [attributes for _, attributes in self.tags if css in (attributes.get("class") or "").split()]


def page_of(*blocks: Block) -> Page:
    return Page(render_report(Report(title="Run", sections=(Section(title="Part", blocks=blocks),))))


def every_block(text: str) -> tuple[Block, ...]:
    """One block of each kind that carries `text` wherever a text may stand."""
    estimate = proportion_estimate(9, 10, num_unscored=2)
    sample = Sample(text=text, title=text, tags=(text,), facts=(Fact(name=text, value=text),), lang=text)
    return (
        Figures(title=text, note=text, items=(Figure(label=text, value=text, note=text), Figure(label=text, value=3))),
        Table(title=text, note=text, columns=(Column(title=text),), rows=((text,), (text,))),
        Bars(title=text, note=text, series=(text, text), unit=text, bars=(Bar(label=text, values=(1, 2)),)),
        Histogram(
            title=text, note=text, edges=(0, 1, 2), counts=(3, 4), x_label=text, y_label=text,
            thresholds=(Threshold(value=1, label=text),),
        ),
        Lines(title=text, note=text, x_label=text, y_label=text, lines=(Line(name=text, x=(0, 1), y=(2, 3)),)),
        Scatter(title=text, note=text, x_label=text, y_label=text, points=(Point(x=1, y=2, label=text, group=text),)),
        Intervals(
            title=text, note=text, rows=(IntervalRow(label=text, estimate=estimate),), reference=0.5,
            reference_label=text,
        ),
        Heatmap(title=text, note=text, row_title=text, row_labels=(text,), column_labels=(text,), values=((0.5,),)),
        Samples(title=text, note=text, samples=(sample,)),
        Prose(title=text, paragraphs=(text,), lang=text),
        Links(title=text, note=text, links=(Link(path="run.json", label=text, note=text),)),
    )  # fmt: skip


def report_with(text: str) -> Report:
    return Report(
        title=text or "Run",
        subtitle=text,
        facts=(Fact(name=text, value=text),),
        sections=(Section(title=text, intro=text, blocks=every_block(text)), Section(title=text, blocks=())),
        lang=text,
    )


def test_render_report_hostile_text_stays_text_wherever_it_stands() -> None:
    page = Page(render_report(report_with(NASTY)))
    assert len(page.named("script")) == 1
    assert page.named("img") == []
    assert "alert" not in page.script
    assert page.text.count(NASTY) > 40
    assert all(not name.startswith("on") for _, attributes in page.tags for name in attributes)


# Rendering takes tens of milliseconds; fewer examples keep the suite quick.
@settings(max_examples=25, deadline=None)
@given(text=st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Cn", "Cf"]), min_size=1))
def test_render_report_any_text_is_found_again_and_adds_no_element(text: str) -> None:
    text = f"x{text}x"
    page, plain = Page(render_report(report_with(text))), Page(render_report(report_with("plain")))
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in plain.tags]
    assert page.text.count(text) >= plain.text.count("plain")


def test_render_report_control_characters_and_lone_surrogates_become_visible() -> None:
    page = page_of(Samples(title="s", samples=(Sample(text="a\x00b\x1bc\ud800d\u202ee\x85f\r\ng\x7fh"),)))
    assert "a␀b␛c�d�e�f\ng␡h" in page.text
    assert page.text.encode("utf-8")


def test_render_report_same_report_gives_the_same_bytes() -> None:
    assert render_report(report_with("甲")) == render_report(report_with("甲"))


def test_render_report_asks_for_nothing_outside_the_file() -> None:
    html = render_report(report_with("x"))
    page = Page(html)
    assert "://" not in html
    assert not re.search(r"@import|url\(|fetch\(|XMLHttpRequest|import\(", html)
    assert all("src" not in attributes for _, attributes in page.tags)
    assert page.named("link") == []
    assert {attributes["href"] for attributes in page.named("a")} == {
        "#content",
        "#section-1",
        "#section-2",
        "run.json",
    }


def test_render_report_policy_forbids_the_network_and_allows_only_its_own_script() -> None:
    page = Page(render_report(Report(title="Run")))
    (policy,) = [a["content"] or "" for a in page.named("meta") if a.get("http-equiv") == "Content-Security-Policy"]
    digest = b64encode(sha256(page.script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; ")
    assert page.named("script") == [{}]


def test_render_report_languages_are_marked() -> None:
    blocks = (
        Prose(paragraphs=("摘要",), lang="zh-Hant"),
        Samples(title="s", samples=(Sample(text="早安"), Sample(text="長" * 400, lang="zh-Hant-HK"))),
    )
    report = Report(title="報告", lang="zh-Hant-TW", sections=(Section(title="一", blocks=blocks),))
    page = Page(render_report(report))
    assert page.named("html") == [{"lang": "zh-Hant-TW"}]
    langs = [attributes["lang"] for _, attributes in page.tags if "lang" in attributes]
    assert langs == ["zh-Hant-TW", "zh-Hant", "zh-Hant-TW", "zh-Hant-HK", "zh-Hant-HK"]


def test_render_report_sections_are_linked_from_the_contents() -> None:
    report = Report(title="Run", sections=(Section(title="One", blocks=()), Section(title="Two", blocks=())))
    page = Page(render_report(report))
    targets = [attributes["id"] for attributes in page.named("section")]
    assert [f"#{target}" for target in targets] == [a["href"] for a in page.named("a")][1:]


def test_render_report_without_sections_is_a_document() -> None:
    page = Page(render_report(Report(title="Nothing yet")))
    assert [page.named(tag) != [] for tag in ("h1", "main", "nav", "dl")] == [True, True, False, False]


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_render_report_colours_have_the_contrast_of_wcag_aa(theme: str) -> None:
    # WCAG 2.2, 1.4.3 and 1.4.11: 4.5 for text, 3 for graphics.
    html = render_report(Report(title="Run"))
    light, dark = re.findall(r":root \{(.*?)\}", html, flags=re.DOTALL)[:2]
    colors = dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", light if theme == "light" else dark))
    text = [("ink", "ground"), ("ink", "surface"), ("quiet", "ground"), ("quiet", "surface"), ("quiet", "sunken")]
    text += [("accent", "surface"), ("accent", "ground"), ("accent", "accent-soft"), ("alert", "surface")]
    assert [pair for pair in text if _contrast(colors[pair[0]], colors[pair[1]]) < 4.5] == []
    graphics = [f"s{number}" for number in range(1, 11)] + ["line-strong"]
    assert [name for name in graphics if _contrast(colors[name], colors["surface"]) < 3] == []


def test_render_report_in_a_browser_runs_its_script_and_no_other(tmp_path: Path) -> None:
    browser = shutil.which("chromium")
    if browser is None:
        pytest.skip("browser not found: install chromium to run the report's script")
    rows = tuple((f"{NASTY} {number}",) for number in range(20))
    blocks = (*every_block(NASTY), Table(title="Long", columns=(Column(title="Text"),), rows=rows))
    path = tmp_path / "report.html"
    path.write_text(render_report(Report(title="Run", sections=(Section(title="P", blocks=blocks),))), encoding="utf-8")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += [
        "--disable-background-networking",
        "--disable-component-update",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    done = subprocess.run(
        [browser, *flags, "--dump-dom", path.as_uri()], capture_output=True, check=True, timeout=60, encoding="utf-8"
    )
    page = Page(done.stdout)
    assert len(page.named("script")) == 1
    assert page.named("img") == []
    assert page.of_class("sort")
    assert [attributes for attributes in page.of_class("controls") if "hidden" in attributes] == []
