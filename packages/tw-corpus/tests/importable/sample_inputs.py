"""Invented inputs for the tests of the curation job."""

import gzip
import json
import random
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


SIMPLIFIED_SOURCE = (
    "圖書館從這個學期開始，每個週三的下午都會開辦說故事時間，由退休的老師輪流為孩子讀書。"
    "館員說，報名的人數比預期的還要多，所以下個月會再增加兩場，家長也可以在現場學習怎麼為孩子選書。"
)
SIMPLIFIED_MIRROR = (
    "图书馆从这个学期开始，每个周三的下午都会开办说故事时间，由退休的老师轮流为孩子读书。"
    "馆员说，报名的人数比预期的还要多，所以下个月会再增加两场，家长也可以在现场学习怎么为孩子选书。"
)
QUESTIONS = (
    "小明用三枝鉛筆換了兩塊橡皮擦，如果他有十二枝鉛筆，最多可以換幾塊？",
    "下列何者不是一年四季都能在這座小島上看到的候鳥？",
    "為什麼",
)
REPEATED = "歡迎把這篇文章分享給住在附近的親朋好友，一起來參加社區的活動。"
PERSONAL = "想參加的人可以打電話給承辦人，號碼是0912-345-678，也可以寫信到someone@example.org詢問。"
WHO = ("志工", "店家", "學生", "漁民", "茶農", "老師", "里長", "護理師", "司機", "工程師", "畫家", "郵差")
WHEN = ("清晨", "午後", "放學以後", "下雨的時候", "農曆年前", "颱風過後", "週末", "天黑之前", "開會的時候", "秋收時")
WHERE = ("巷口", "橋邊", "田埂上", "港口", "騎樓下", "操場旁", "廟埕", "車站前", "果園裡", "溪谷中", "老街上", "教室裡")
DONE = (
    "把舊桌椅修理得像新的一樣",
    "討論怎麼讓水溝不再淹水",
    "替迷路的小狗找到了主人",
    "煮了一大鍋綠豆湯分給大家",
    "畫下整面牆的海洋動物",
    "把收成的柚子裝進紙箱",
    "測量每一棵樹的高度",
    "教長輩用手機看公車時刻",
    "整理出三十年前的老照片",
    "練習下個月要表演的歌",
    "清點倉庫裡剩下的種子",
    "修好了停擺多年的大鐘",
)
FELT = (
    "，累得說不出話來。",
    "，大家都覺得很值得。",
    "，沒有人喊苦。",
    "，路過的人也停下來幫忙。",
    "，明天還要再來一次。",
)


def story(number: int) -> str:
    """Return one of many long texts that share few shingles of five characters."""
    chosen = random.Random(number)
    return "".join(
        f"{chosen.choice(WHEN)}，{chosen.choice(WHO)}和{chosen.choice(WHO)}在{chosen.choice(WHERE)}"
        f"{chosen.choice(DONE)}{chosen.choice(FELT)}"
        for _ in range(6)
    )


def write_every_outcome(folder: Path) -> Path:
    """Write two JSONL files with which each step of a curation has something to do, and most across the files.

    They hold an exact and a near duplicate, a Simplified mirror before its source, an item of `write_questions`, a
    paragraph that four documents share, personal data, a text full of exclamation marks, one too short, broken lines.
    """
    folder.mkdir(parents=True)
    first = {f"story-{number}": story(number) for number in range(6)}
    first |= {
        "mirror": SIMPLIFIED_MIRROR,
        "item": f"{story(20)}\n考古題分享：{QUESTIONS[0]}",
        "personal": f"{story(21)}\n{PERSONAL}",
        "shared-0": f"{story(22)}\n{REPEATED}",
        "shared-1": f"{story(23)}\n{REPEATED}",
    }
    second = {f"story-{number}": story(number) for number in range(6, 12)}
    second |= {
        "source": SIMPLIFIED_SOURCE,
        "exact": story(0),
        "near": story(1).replace("。", "，真是難得。", 1),
        "loud": story(24).replace("。", "！！！！！！"),
        "shared-2": f"{story(25)}\n{REPEATED}",
        "shared-3": f"{story(26)}\n{REPEATED}",
        "short": "太短",
    }
    for name, texts in (("part-0", first), ("part-1", second)):
        rows = [json.dumps({"id": key, "text": text}, ensure_ascii=False) for key, text in texts.items()]
        content = "\n".join([*rows, "{broken"]).encode()
        (folder / f"{name}.jsonl.gz").write_bytes(gzip.compress(content, mtime=0))
    return folder


def write_questions(path: Path) -> Path:
    """Write the benchmark: an item that the inputs hold, one that they do not hold, and one too short to look for."""
    rows = [json.dumps({"question": question}, ensure_ascii=False) for question in QUESTIONS]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path
