"""A folder laid out like `zh_variants`, of invented sentences, large enough to train a tiny model on."""

import gzip
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from opencc import OpenCC

_TAIWAN = (
    (
        "我們搭捷運",
        "學長騎機車",
        "阿嬤去夜市",
        "老闆用網路",
        "里長在市公所",
        "小朋友在國小",
        "客人用手機",
        "議員到立法院",
    ),
    ("買了便當。", "查資訊喔。", "列印檔案啦。", "吃鳳梨齁。", "領身分證。", "看影片欸。", "修印表機。", "按讚貼文。"),
)
_HONG_KONG = (
    (
        "市民乘搭港鐵",
        "議員在立法會",
        "巴士駛經旺角",
        "當局早前公布",
        "住客投訴屋苑",
        "學童於屯門",
        "警方拘捕疑犯",
        "長者在街市",
    ),
    ("往觀塘。", "要求交代。", "未有受傷。", "檢討樓價。", "領取八達通。", "食茶餐廳。", "收到回贈。", "涉嫌泊車。"),
)
_CANTONESE = (
    (
        "我哋喺屋企",
        "佢而家唔得閒",
        "細路話肚餓",
        "你哋尋日去咗",
        "阿媽同佢講",
        "嗰個人好嘈",
        "點解咁多嘢",
        "佢哋成日傾偈",
    ),
    ("食緊飯呀。", "做乜嘢啫。", "仲未瞓喎。", "買啲餸㗎。", "冇帶銀包。", "鍾意飲茶。", "唔使返工。", "咪去行街囉。"),
)
_MAINLAND = (
    (
        "程序员用软件",
        "领导在党委",
        "用户登录服务器",
        "民警到街道办",
        "咱们坐出租车",
        "村委会进一步",
        "网民刷朋友圈",
        "总书记在讲话",
    ),
    ("抓好质量。", "打印文件。", "切实落实。", "吃土豆呢。", "看视频吧。", "发短信儿。", "买方便面。", "扫二维码。"),
)
_ENCYCLOPAEDIA = (
    ("那座城在南方", "这种花有毒", "他生于一九二〇年", "该岛多山", "此书写成于清代", "那条河向东流"),
    ("人口不多。", "高十二米。", "分布很广。", "至今仍在。", "后来重建。"),
)


_MEETING = "# 會議\n\n### 甘小乙：\n甘小乙說甘小乙也說。\n"


def pairs(parts: Sequence[Sequence[str]]) -> list[str]:
    """Every beginning with every end."""
    return [first + second for first, second in itertools.product(*parts)]


def write_folder(folder: Path) -> Path:
    """Write all files that the training reads, and return the folder."""
    files: dict[str, list[dict[str, Any]]] = {
        "common_voice_zh_tw.jsonl": list(_voice("zh-TW", "sentence-collector", pairs(_TAIWAN))),
        "common_voice_tw_in_simplified.jsonl": list(_twins(pairs(_TAIWAN)[:10])),
        "common_voice_zh_hk.jsonl.gz": list(_hong_kong()),
        "common_voice_zh_cn.jsonl": [
            *_voice("zh-CN", "sentence-collector", pairs(_MAINLAND)),
            *_voice("zh-CN", "wiki.zh-cn", [*pairs(_ENCYCLOPAEDIA), *pairs(_MAINLAND)[::9], "那里的立委搭捷运。"]),
        ],
        "converted.jsonl": list(_converted(pairs(_MAINLAND)[:8])),
        "transcripts_tw.jsonl.gz": [
            _document("transcripts_tw", n, "# 會議\n\n### 甘小乙：\n甘小乙說甘小乙也說。\n") for n in range(12)
        ],
        "tw_law.jsonl.gz": [_document("tw_law", n, "第 1 條\n│項目│\n") for n in range(12)],
        "hkcancor.jsonl": list(_utterances(pairs(_CANTONESE))),
        "cantonese_lines.jsonl": [
            _row("line/1", "你喺邊度呀", "yue", label_quality="gold"),
            _row("line/2", "無人知道", None, label_quality="gold"),
        ],
        "udhr.jsonl": [
            _row("udhr/1", "人人生來自由平等。", "zh-TW", article=1, label_quality="nearest"),
            _row("udhr/2", "人人生来自由平等。", "zh-CN", article=1, label_quality="gold"),
            _row("udhr/3", "人人生嚟自由平等嘅。", "yue", article=1, label_quality="gold"),
        ],
        "zhtw_terms.jsonl": list(_terms()),
        "regional_terms/software_l10n.jsonl": [
            {"id": "l/1", "licence": "MIT", "lexical_diff": True, "zh_CN": "账号未激活。", "zh_TW": "帳號未啟用。"},
            {"id": "l/2", "licence": "BSD-3-Clause", "lexical_diff": True, "zh_CN": "甲", "zh_TW": "乙"},
            {"id": "l/3", "licence": "MIT", "lexical_diff": False, "zh_CN": "确定", "zh_TW": "確定"},
        ],
    }
    for name, rows in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return folder


def _row(identifier: str, text: str, label: str | None, **fields: object) -> dict[str, Any]:
    return {"id": identifier, "text": text, "label": label, **fields}


def _voice(locale: str, file: str, texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(texts):
        yield _row(f"common_voice/{locale}/{file}/{number:05}", text, locale)


def _twins(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    convert = OpenCC("t2s").convert
    for number, text in enumerate(texts):
        twin = f"common_voice/zh-TW/sentence-collector/{number:05}"
        yield _row(f"common_voice/zh-CN/cn/{number:05}", convert(text), "zh-TW", script="Hans", twin_id=twin)


def _hong_kong() -> Iterator[dict[str, Any]]:
    written = pairs(_HONG_KONG)
    for number, text in enumerate([*written, *pairs(_CANTONESE)[::7], "姨媽去街市買餸", "長者食飯", "好"]):
        marked = any(character in text for character in "嘅咗喺唔冇哋啲嗰佢")
        yield _row(f"common_voice/zh-HK/sentence-collector/{number:05}", text, "zh-HK", yue_marker=marked)
    yield _row("common_voice/zh-HK/hkgov/00001", "不是啊", "zh-HK", yue_marker=False, also_in=["zh-TW"])
    # one template: eight lines with the same six characters
    for number, place in enumerate("東西南北中上下左右"):
        text = f"明天大風大雨時{place}區停課一天"
        yield _row(f"common_voice/zh-HK/sentence-collector/9{number:04}", text, "zh-HK", yue_marker=False)


def _converted(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    convert = OpenCC("s2t").convert
    for number, text in enumerate(texts):
        original = f"common_voice/zh-CN/sentence-collector/{number:05}"
        yield _row(f"converted/{number}", convert(text), "zh-CN", converted_by="s2t", original_id=original)


def _document(source: str, number: int, heading: str) -> dict[str, Any]:
    texts = pairs(_TAIWAN)
    return _row(f"{source}/{number}", heading + "\n".join(texts[(number + i) % len(texts)] for i in range(30)), "zh-TW")


def _utterances(texts: Sequence[str]) -> Iterator[dict[str, Any]]:
    for number, text in enumerate(texts):
        yield _row(f"hkcancor/{number}", text, "yue", doc=f"FC-{number % 16:03}")


def _terms() -> Iterator[dict[str, Any]]:
    for number, (source, target, direction, kind, identity) in enumerate(
        (
            ("软件", "軟體", "cn2tw", "term", False),
            ("雪櫃", "冰箱", "hk2tw", "term", False),
            ("停车位", "停車位", "cn2tw", "term", True),
            ("這個檔案已儲存。", "這個檔案已儲存。", "cn2tw", "sentence", True),
        )
    ):
        yield {
            "id": f"zhtw/{number}",
            "source_text": source,
            "target_text": target,
            "direction": direction,
            "kind": kind,
            "identity": identity,
        }
