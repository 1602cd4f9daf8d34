"""Invented inputs for the tests of the curation job."""

import gzip
import json
from pathlib import Path

OPENINGS = ("今天早上", "昨天傍晚", "上個週末", "去年冬天", "這個月初", "連假第一天")
PLACES = ("河濱公園", "社區活動中心", "國小操場", "舊車站廣場", "漁港旁的市場", "山腳下的茶園")
EVENTS = (
    "辦了一場音樂會，吸引許多家庭帶著孩子前來參加，現場氣氛十分熱絡。",
    "舉行種樹活動，志工們一早就到場整地，大家忙到中午才坐下來吃便當。",
    "有二手書市集，攤位排得滿滿的，不少人抱著一疊小說心滿意足地離開。",
    "開設免費的烹飪課，老師示範怎麼用當季的蔬菜煮出一鍋清甜的湯。",
)
ENDINGS = (
    "主辦單位說，明年還會再來，也希望有更多人一起加入。",
    "附近的店家表示，這樣的活動讓街上熱鬧了起來。",
    "有位阿嬤笑著說，她已經好久沒有看到這麼多人了。",
)


def text_of(number: int) -> str:
    """Return one of many different short news texts."""
    return (
        f"{OPENINGS[number % 6]}，{PLACES[number // 6 % 6]}{EVENTS[number // 36 % 4]}{ENDINGS[number // 144 % 3]}"
        f"這是今年的第{number + 1}場活動。"
    )


def write_inputs(folder: Path, *, num_files: int = 8, num_rows: int = 25) -> Path:
    """Write JSONL files with good texts, duplicates across files, texts too short, and broken lines."""
    folder.mkdir(parents=True)
    for file_number in range(num_files):
        # the last eight texts of a file are the first eight of the next
        start = file_number * (num_rows - 8)
        rows = [
            json.dumps({"id": f"{file_number}-{row}", "text": text_of(start + row), "genre": "news"})
            for row in range(num_rows)
        ]
        rows.append(json.dumps({"id": f"{file_number}-short", "text": "太短"}, ensure_ascii=False))
        rows.append("{broken")
        path = folder / f"part-{file_number}.jsonl.gz"
        path.write_bytes(gzip.compress("\n".join(rows).encode(), mtime=0))
    return folder
