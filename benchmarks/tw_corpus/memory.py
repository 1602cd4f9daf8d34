"""Peak memory of `tw_corpus.curation.curate` by stage, for growing numbers of synthetic documents.

    uv run python benchmarks/tw_corpus/memory.py --work FOLDER

writes memory.md beside this file. Each size runs in a process of its own with one worker; the processes below it are
looked at every 20 ms. Results are kept in FOLDER/results.json, one size after the other, and a size that stands there
is not measured again. A million documents need about 4 GB in FOLDER; the documents are deleted afterwards.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from textwrap import wrap
from typing import Any

from tw_corpus._minhash import jaccard
from tw_corpus.curation import curate, load_curation_recipe
from twllm_runs import hardware, open_progress

HERE = Path(__file__).parent
COMMAND = "uv run python benchmarks/tw_corpus/memory.py --work FOLDER"
SIZES = (10_000, 100_000, 1_000_000)
SEED = 20
EXACT_SHARE, NEAR_SHARE = 0.05, 0.05
NUM_REPLACED = 3
DOCUMENTS_PER_FILE = 10_000
POLL_SECONDS = 0.02
BEFORE, AFTER = "before the first stage", "after the last stage"
# stages that look at one document, or one task's documents, at a time; the others compare documents of all tasks
SINGLE = (BEFORE, "filter")


def words(text: str) -> tuple[str, ...]:
    """Split a list of words."""
    return tuple(text.split())


# words of the invented sentences, by place in the sentence
WHO = words(
    "老師 學生 醫師 鄰居 店員 司機 記者 市民 農夫 漁民 工程師 里長 作家 導遊 廚師 志工 店長 孩子 長輩 同學 "
    "主任 護理師 郵差 房東 球員 教練 歌手 畫家 攝影師 木匠 公務員 消防員 船長 讀者 觀眾 旅客 居民 業者 民眾 遊客"
)
WHEN = words(
    "昨天 今天 上週 去年 春天 夏天 秋天 冬天 清晨 傍晚 中午 深夜 週末 假日 月底 年初 颱風後 開學前 雨停後 過年時 "
    "退休後 下班後 放學後 考試前 搬家時 天亮前 午休時 婚禮上 會議中 旅途中"
)
WHERE = words(
    "公園 車站 市場 圖書館 河邊 山上 巷口 學校 醫院 廟口 港口 夜市 書店 咖啡館 老街 田裡 工廠 郵局 海邊 客廳 "
    "廚房 陽台 走廊 球場 禮堂 博物館 步道 橋下 車廂 碼頭 茶園 果園 牧場 溪谷 島上 眷村 騎樓 社區 活動中心 里民會館"
)
DID = words(
    "整理 準備 介紹 修理 記錄 比較 討論 收集 分享 打掃 搬運 設計 觀察 練習 描寫 種植 拍攝 翻譯 照顧 尋找 "
    "完成 檢查 展示 購買 借閱 包裝 清洗 安排 測量 規劃 品嚐 懷念 欣賞 研究 登記 更換 丈量 保存 回收 重建"
)
HOW = words(
    "溫暖 安靜 老舊 嶄新 簡單 複雜 新鮮 便宜 特別 普通 漂亮 明亮 狹窄 寬敞 有趣 熱鬧 清楚 完整 古老 精緻 "
    "濃郁 輕巧 堅固 柔軟 繽紛 樸素 珍貴 少見 壯觀 涼爽"
)
WHAT = words(
    "地圖 照片 菜單 故事 水果 器材 文件 桌椅 花草 樂器 窗戶 帳冊 機車 海報 食譜 玩具 布料 陶器 燈籠 木箱 "
    "信件 樹苗 票根 獎盃 課本 模型 雨傘 竹籃 算盤 漁網 路牌 茶壺 門聯 剪報 唱片 明信片 族譜 油畫 種子 工具"
)
ENDS = ("，", "，", "。", "；")


@dataclass(frozen=True, slots=True, kw_only=True)
class Peak:
    """Largest resident memory seen in one stage, MiB.

    Attributes:
        worker: of the worker process.
        driver: of the process that called `curate`.
        both: of all processes together, at one moment; pages that they share count more than once.
        seconds: how long the stage lasted.
    """

    worker: float = 0.0
    driver: float = 0.0
    both: float = 0.0
    seconds: float = 0.0


def clauses(key: str) -> list[str]:
    """Return the clauses of one invented document; the same key gives the same document."""
    # repeatable test values, no secrets
    pick = random.Random(key).choice  # noqa: S311
    return [
        f"{pick(WHO)}{pick(WHEN)}在{pick(WHERE)}{pick(DID)}了{pick(HOW)}的{pick(WHAT)}"
        for _ in range(14 + pick(range(8)))
    ]


def document(number: int) -> tuple[str, str]:
    """Return kind ("new", "exact", "near") and text of document `number`; a copy is one of an earlier document."""
    # repeatable test values, no secrets
    generator = random.Random(f"{SEED}/{number}/kind")  # noqa: S311
    drawn = generator.random()
    if number and drawn < EXACT_SHARE + NEAR_SHARE:
        kind = "exact" if drawn < EXACT_SHARE else "near"
        parts = clauses(f"{SEED}/{generator.randrange(number)}")
        if kind == "near":
            for position in generator.sample(range(len(parts)), NUM_REPLACED):
                parts[position] = parts[position][:-2] + generator.choice(WHAT)
    else:
        kind, parts = "new", clauses(f"{SEED}/{number}")
    return kind, "".join(part + ENDS[at % len(ENDS)] for at, part in enumerate(parts[:-1])) + parts[-1] + "。"


def write_documents(folder: Path, num_documents: int) -> int:
    """Write the documents as JSON lines; returns the bytes written."""
    folder.mkdir(parents=True)
    for start in range(0, num_documents, DOCUMENTS_PER_FILE):
        with (folder / f"part-{start:08d}.jsonl").open("w", encoding="utf-8") as file:
            for number in range(start, min(start + DOCUMENTS_PER_FILE, num_documents)):
                row = {"id": str(number), "text": document(number)[1]}
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
    return sum(path.stat().st_size for path in folder.iterdir())


def curate_folder(inputs: Path, output: Path) -> None:
    """Curate with the recipe `web` and one worker: what the child process does."""
    recipe = load_curation_recipe("web")
    with open_progress(quiet=True) as progress:
        curate([inputs], output=output, recipe=recipe, progress=progress, workers=1)


def measure(num_documents: int, work: Path) -> dict[str, Any]:
    """Write documents, curate them in a child process, and look at its memory.

    Raises:
        RuntimeError: the child failed.
    """
    folder = work / str(num_documents)
    shutil.rmtree(folder, ignore_errors=True)
    num_bytes = write_documents(folder / "documents", num_documents)
    command = [sys.executable, __file__, "--child", str(folder / "documents"), str(folder / "run")]
    started = time.monotonic()
    with subprocess.Popen(command) as child:
        peaks = watch(child, folder / "run")
    seconds = time.monotonic() - started
    if child.returncode:
        raise RuntimeError(f"the curation of {num_documents} documents ended with {child.returncode}")
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    num_tasks = len(list((folder / "run" / "documents").glob("*.parquet")))
    shutil.rmtree(folder)
    return {
        "num_documents": num_documents,
        "num_bytes": num_bytes,
        "num_tasks": num_tasks,
        "seconds": seconds,
        "counts": summary["counts"],
        "peaks": {stage: {name: getattr(peak, name) for name in Peak.__slots__} for stage, peak in peaks.items()},
    }


def watch(child: subprocess.Popen[bytes], run: Path) -> dict[str, Peak]:
    """Return the peak of each stage, in order, until the child ends."""
    logs = run / "work" / "logs"
    peaks: dict[str, Peak] = {BEFORE: Peak()}
    stage, began = BEFORE, time.monotonic()
    while child.poll() is None:
        driver, workers = resident(child.pid)
        now = time.monotonic()
        current = stage_now(logs, stage, set(peaks), has_worker=bool(workers))
        if current != stage:
            peaks[stage] = replace(peaks[stage], seconds=now - began)
            stage, began = current, now
        old = peaks.get(stage, Peak())
        worker = max(workers, default=0.0)
        peaks[stage] = replace(
            old,
            worker=max(old.worker, worker),
            driver=max(old.driver, driver),
            both=max(old.both, driver + sum(workers)),
        )
        time.sleep(POLL_SECONDS)
    peaks[stage] = replace(peaks[stage], seconds=time.monotonic() - began)
    return peaks


def stage_now(logs: Path, stage: str, seen: set[str], *, has_worker: bool) -> str:
    """Return the stage whose folder of logs came last."""
    try:
        fresh = [entry.name for entry in os.scandir(logs) if entry.name not in seen]
    except FileNotFoundError:
        return stage
    if fresh:
        return fresh[-1]
    return AFTER if stage == "write" and not has_worker else stage


def resident(driver: int) -> tuple[float, list[float]]:
    """Return the resident memory of a process and of each process below it, MiB."""
    below: list[float] = []
    pending = children(driver)
    while pending:
        process = pending.pop()
        below.append(resident_of(process))
        pending += children(process)
    return resident_of(driver), below


def children(process: int) -> list[int]:
    """Return the child processes; none where the process has ended."""
    try:
        tasks = list(Path(f"/proc/{process}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text(encoding="ascii").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []


def resident_of(process: int) -> float:
    """Return the resident memory of one process, MiB; 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def stage_table(results: Sequence[dict[str, Any]]) -> list[str]:
    """Peak of the worker by stage and size."""
    head = " | ".join(f"{result['num_documents']:,}" for result in results)
    lines = [f"| stage | {head} | bytes per document |", f"|---|{'---|' * (len(results) + 1)}"]
    for stage in results[-1]["peaks"]:
        cells = [
            f"{peak['worker']:.0f} ({peak['seconds']:.1f} s)" if (peak := result["peaks"].get(stage)) else "–"
            for result in results
        ]
        measured = all(stage in result["peaks"] for result in results)
        peaks = [result["peaks"][stage]["worker"] for result in results] if measured else []
        lines.append(f"| {stage} | {' | '.join(cells)} | {slope(results, peaks) if measured else '–'} |")
    return lines


def total_table(results: Sequence[dict[str, Any]]) -> list[str]:
    """Size, outcome, time and peaks of each run."""
    lines = [
        (
            "| documents | MB | tasks | kept | exact duplicates | near-duplicates | rejected | time | MB/s "
            "| peak worker | peak driver | peak of all |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        counts = result["counts"]
        peaks = [max(peak[who] for peak in result["peaks"].values()) for who in ("worker", "driver", "both")]
        lines.append(
            f"| {result['num_documents']:,} | {result['num_bytes'] / 1e6:.1f} | {result['num_tasks']} "
            f"| {counts['num_kept']:,} | {counts['num_duplicates']:,} | {counts['num_near_duplicates']:,} "
            f"| {counts['num_rejected']:,} | {result['seconds']:.0f} s "
            f"| {result['num_bytes'] / 1e6 / result['seconds']:.2f} "
            f"| {' | '.join(f'{peak:.0f} MiB' for peak in peaks)} |"
        )
    return lines


def similarity(num_pairs: int = 200) -> str:
    """Jaccard similarity of near copies with their originals, and of documents made apart."""
    near: list[float] = []
    number = 0
    while len(near) < num_pairs:
        number += 1
        kind, text = document(number)
        if kind == "near":
            # the original is drawn again in the same way
            # repeatable test values, no secrets
            generator = random.Random(f"{SEED}/{number}/kind")  # noqa: S311
            generator.random()
            near.append(jaccard(text, "".join(clauses(f"{SEED}/{generator.randrange(number)}"))))
    far = [
        jaccard("".join(clauses(f"{SEED}/{one}")), "".join(clauses(f"{SEED}/{one + 1}")))
        for one in range(0, 2 * num_pairs, 2)
    ]
    return (
        f"Jaccard similarity of {num_pairs} near copies with their originals {min(near):.2f} to {max(near):.2f}, "
        f"mean {sum(near) / num_pairs:.2f}; of {num_pairs} pairs of new documents at most {max(far):.2f}."
    )


def report(results: Sequence[dict[str, Any]]) -> Iterator[str]:
    """All sections, as lines."""
    machine = ", ".join(f"{key} {value}" for key, value in hardware().items() if value)
    mean_bytes = results[-1]["num_bytes"] / results[-1]["num_documents"]
    yield from [
        "# Memory of a curation by number of documents",
        "",
        f"- Command: `{COMMAND}`, {datetime.now(UTC):%Y-%m-%d}",
        f"- Hardware: {machine}; one worker",
        f"- tw-corpus {version('tw-corpus')}, datatrove {version('datatrove')}; recipe `web` as it ships",
        f"- Data: invented documents (seed {SEED}), mean {mean_bytes:.0f} bytes a JSON line, {EXACT_SHARE:.0%} exact",
        f"  and {NEAR_SHARE:.0%} near copies of earlier ones ({NUM_REPLACED} words replaced)",
        *(f"  {line}" for line in wrap(similarity(), 110)),
        f"- One run per size; resident memory of each process every {1000 * POLL_SECONDS:.0f} ms",
        "",
        "## Runs",
        "",
        *total_table(results),
        "",
        _RUNS_NOTE,
        "",
        "## Peak of the worker by stage, MiB (and how long the stage took)",
        "",
        *stage_table(results),
        "",
        _STAGES_NOTE,
        "",
        "## Growth",
        "",
        *growth_lines(results),
        "",
    ]


def growth_lines(results: Sequence[dict[str, Any]]) -> list[str]:
    """What the tables say, in words."""
    stages = list(results[-1]["peaks"])
    spans = {
        "before deduplication": [stage for stage in stages if stage in SINGLE],
        "deduplication and writing": [stage for stage in stages if stage not in SINGLE and stage != AFTER],
    }
    head = " | ".join(f"{result['num_documents']:,}" for result in results)
    lines = [f"| part | {head} | bytes per document |", f"|---|{'---|' * (len(results) + 1)}"]
    for name, chosen in spans.items():
        peaks = [
            max((result["peaks"][stage]["worker"] for stage in chosen if stage in result["peaks"]), default=0.0)
            for result in results
        ]
        cells = [f"{peak:.0f}" for peak in peaks]
        lines.append(f"| {name}, peak worker, MiB | {' | '.join(cells)} | {slope(results, peaks)} |")
    return lines


def slope(results: Sequence[dict[str, Any]], peaks: Sequence[float]) -> str:
    """Bytes of peak memory per document, between the last two sizes; peaks in MiB."""
    if len(results) < 2:
        return "–"
    before, after = results[-2:]
    return f"{(peaks[-1] - peaks[-2]) * 2**20 / (after['num_documents'] - before['num_documents']):.0f}"


_RUNS_NOTE = """\
`rejected`: by the quality rules. Time includes the start of the processes and the hash of the inputs; it is that of
one run. The driver starts the worker and waits."""
_STAGES_NOTE = """\
Bytes per document: difference of the peaks of the two largest sizes by the difference of their documents. One worker
process goes through all stages and Python returns little memory to the system, so a stage's figure is at least what
an earlier stage left. A task holds about 64 MiB of input, so what a stage keeps for one task grows until the inputs
fill one task, and not from there on. Only near-clusters holds something of all tasks at once: the pairs found, each of
16 bytes, once for each bucket in which two documents agree."""


def main() -> None:
    """Measure what is missing, then write the report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, help="folder for documents and results")
    parser.add_argument("--documents", type=int, nargs="+", default=list(SIZES), help="sizes to measure")
    parser.add_argument("--output", type=Path, default=HERE / "memory.md")
    parser.add_argument("--child", type=Path, nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        curate_folder(*arguments.child)
        return
    if arguments.work is None:
        parser.error("name a folder with --work")
    arguments.work.mkdir(parents=True, exist_ok=True)
    path = arguments.work / "results.json"
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for num_documents in arguments.documents:
        if str(num_documents) not in results:
            results[str(num_documents)] = measure(num_documents, arguments.work)
            path.write_text(json.dumps(results, indent=1), encoding="utf-8")
            print(f"{num_documents:,} documents: {results[str(num_documents)]['seconds']:.0f} s", flush=True)
    chosen = [results[str(number)] for number in sorted(arguments.documents)]
    arguments.output.write_text("\n".join(report(chosen)), encoding="utf-8")
    print(f"{arguments.output.name} written")


if __name__ == "__main__":
    main()
