"""Answers that are said and not meant: denied, doubted, refused, called wrong, or somebody else's.

Each pattern looks at a window of bounded size beside a letter or its cue. What denies must stand right before the cue
(我不認為|答案是 A), save for words that carry nothing: "A is wrong, so the answer is B" denies A and not B.
"""

import re

# 不得不, 不能不, 無法不, 何不 and 無不 affirm; 不難 does, too; so does 別 in 分別.
_NOT = (
    r"(?:(?<![得能會莫無何法])(?<!不可)不|沒有?|没有?|未|無法|無從|無人|無理由|(?<!不)(?:很|極|實在)?難以?|"
    r"(?<![分差個特級性類辨識區])別|勿|莫|絕不|拒絕|避免|反對|切忌)"
)
_HEDGES = (
    r"(?:能夠?|會|敢|太|是|很|可以|可|應該|應|該|再|要|一定|見得|理由|辦法|證據|根據|人|曾|必|大|完全|想|願意?|建議|推薦|"
    r"宜|得|需要?|打算|考慮|有|把握|輕易|貿然|直接|隨便|便|去|就|\s)*+"
)
_THINK = (
    r"(?:認為|覺得|相信|同意|贊成|主張|說|講|以為|斷定|斷言|確定|肯定|保證|確認|判斷|判定|認定|代表|表示|意味著?|等於|"
    r"知道|清楚|曉得|想像)"
)
_TRAIL = (
    r"(?:說|這一?題|本題|此題|該題|題目|正確|最佳|最終|的|會|其|是|應該|應|該|要|可以|能|我們?|選項|\s|[(「『\"'])*+$"
)
_DENIED_ZH = re.compile(
    rf"(?:{_NOT}{_HEDGES}(?<!不見)(?<!不必)(?<!不用){_THINK}|並非|并非|不是|否認|質疑|(?<![用必須庸無有需容不])懷疑){_TRAIL}"
)
_NOT_CHOSEN_ZH = re.compile(rf"{_NOT}{_HEDGES}$")
_NEGATED_EN = (
    r"(?:(?<![a-z])(?:not|never|cannot|hardly|nobody|no one|(?:no|little) (?:reason|evidence|proof)|"
    r"few (?:people )?)|n['’]t)"
    r"(?:\s+(?:be|been|a|it|to|really|actually|necessarily|quite|entirely|at all|would|will|can|could|should|even|very|"
    r"anyone|anybody|one|us|is|that))*"
)
_TRAIL_EN = (
    r"(?:\s+(?:to|say|claim|think|believe|conclude|assume|suggest|that|if|whether|for|the|a|my|this|your|correct|right|best|"
    r"final|true|i|we|you|one|should|would|can|must|be))*[\s(\"'“‘]*$"
)
_DENIED_EN = re.compile(
    rf"(?:{_NEGATED_EN}\s+(?:think|believe|say|said|claim|agree|feel|suppose|assume|argue|expect|suspect|conclude|accept|"
    rf"guarantee|know|sure|certain|confident|convinced|(?:true|correct|right|accurate|the case|clear|possible|likely|"
    rf"plausible)\s+(?:that|to|for))|"
    rf"(?<!no )(?<!without )(?<!without a )(?<!beyond )(?<![a-z])doubt|"
    rf"(?<![a-z])(?:deny|disagree|unsure|uncertain|no way|no chance)|"
    rf"(?<![a-z])(?:false|wrong|incorrect|mistaken|unlikely|untrue|a mistake|an error|impossible|refuse|"
    rf"decline)\s+(?:that|to)){_TRAIL_EN}",
    re.IGNORECASE,
)
_NOT_CHOSEN_EN = re.compile(
    r"(?:(?:(?<![a-z])(?:not|never|cannot)|n['’]t)(?:\s+(?:be|to|going|even|really|just|simply|recommend|suggest|advise|"
    r"ever|want|dare|willing|able|inclined))*|"
    r"(?<![a-z])(?:(?:refuse|decline|unable|mistake|wrong|unwise) to|avoid|against|neither|without|before|instead of|"
    r"rather than|(?:nobody|no one|hardly anyone|few) (?:would|should|will)))\s*$",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"(?:(?:無法|不能|沒辦法|沒有辦法|難以|不便|無從|恕難|恕不|恕無法|拒絕)(?:直接|協助|幫忙|替你|為您|再)*"
    r"(?:回答|作答|判斷|確定|提供|協助|給出|得知|認定|決定|選擇|選|辨識|看到|討論|說明|評論|處理)|"
    r"(?<![a-z])(?:cannot|can['’]t|can not|unable to|won['’]t|will not|not (?:able|allowed|permitted|willing) to|"
    r"refuse to|decline to)\s+(?:\w+\s+)?"
    r"(?:answer|determine|help|assist|provide|choose|comply|decide|select|pick|discuss|tell))"
    # The rest of the clause: a turn, a conclusion, a guess or the end of a quoted option begins something new.
    r"(?:(?!但|不過|可是|然而|所以|因此|故|仍|還是選|只能|只好|猜|(?<![a-z])(?:but|so|yet|however|thus|hence|still|guess)(?![a-z]))"
    r"[^,。;!?\n」』\"”])*$",
    re.IGNORECASE,
)
_CLOSE = r"^\s*[)\]}」』》\"'”’]*\s*"
_SAYS_WRONG = (
    r"(?:錯誤|錯|不對|不对|不正[確确]|不成立|不合理|不準確|不恰當|不適當|有誤|有問題|有待商榷|誤導|陷阱|武斷|牽強|離譜|荒謬|草率|不妥|存疑|可疑|站不住腳|不可信|"
    r"不太?可能|(?:可能性|機率|機會)(?:很|極|非常|相當|較|並)?(?:低|小|不高|不大))"
    r"(?:的|了|吧|喔|啊)*(?=$|[\s,。.;:!?、)」]|因|而|但)"
)
_CALLED_WRONG = re.compile(
    rf"{_CLOSE}(?:"
    rf"(?:這個|這種|這樣|這|此|該|選項|的|之|說法|答案|敘述|看法|想法|主張|結論|推論|講法|人|者|同學|是|為|就|則|都|也|並|其實|"
    rf"顯然|明顯|當然|根本|完全|應該|恐怕|未免|實在|太|很|會|\s)*+{_SAYS_WRONG}|"
    rf",\s*(?:但|可是|不過|然而)?(?:這個?|此|那)(?:種|樣)?(?:說法|答案|看法|想法|結論)?(?:是|為|並|就|其實|顯然|當然|根本|完全|\s)*"
    rf"{_SAYS_WRONG}|"
    r",?\s*(?:(?:but|and)\s+)?(?:(?:which|that|this|it)\s+)?(?:is|was|would be|seems|looks|must be)\s+"
    r"(?:(?:clearly|simply|just|obviously|also|probably|definitely|certainly|a|an|very|highly)\s+)*"
    r"(?:incorrect|wrong|false|mistake|mistaken|unlikely|untrue|error|impossible|not (?:correct|right|true|the case))"
    r"(?![a-z]))",
    re.IGNORECASE,
)
_OF_OTHERS = re.compile(r"^\s*[)\]}」』]*\s*(?:者|的(?:人|同學|學生|考生))")
_SUPPOSED = re.compile(
    r"(?:若|如果|要是|假使|萬一|差點|險些|(?:老師|書上|課本上?|他們?|她們?|據|聽)(?:說|寫|認為|主張|表示)|"
    r"假如|假設|倘若|除非|為何|為什麼|誤|以為|原本|本來|一開始|起初|有人|有些人|某些人|"
    r"(?:許多|很多|不少|多數|少數)人|"
    r"一般人|人們|別人|網路上|網友|乍看|第一眼|同學|學生|常見|"
    r"(?<![A-Za-z])(?:if|why|suppose|might think|would think|some|many|(?:most|few|other) people|others|"
    r"initially|tempted to|used to think|people (?:often|usually|tend)|"
    r"at first))"
    r"[^,。;!?\n]{0,12}$",
    re.IGNORECASE,
)


def is_supposed(lead: str) -> bool:
    """What follows is a condition, a question, a first thought, or the opinion of others."""
    return _SUPPOSED.search(lead) is not None


def is_denied(lead: str) -> bool:
    """What follows is said not to be so, or doubted: 我不認為, I doubt that."""
    return _DENIED_ZH.search(lead) is not None or _DENIED_EN.search(lead) is not None


def is_not_chosen(lead: str) -> bool:
    """A verb of choosing that follows is negated: 千萬別, I would not."""
    return _NOT_CHOSEN_ZH.search(lead) is not None or _NOT_CHOSEN_EN.search(lead) is not None


def is_refused(before: str) -> bool:
    """What follows stands in the clause of a refusal: 我無法回答選項, I can't help with option."""
    return _REFUSED.search(before) is not None


def is_called_wrong(after: str) -> bool:
    """The answer or choice that ends here is called wrong; 錯誤的敘述, which may be what was asked for, is not."""
    return _CALLED_WRONG.match(after) is not None


def is_of_others(after: str) -> bool:
    """Those who choose it are spoken of: 選 A 者, 選 A 的人."""
    return _OF_OTHERS.match(after) is not None
