"""The script of sentences and of documents by one rule."""

from tw_corpus._script import Script, ScriptCounts

# As in tw_corpus._script: from this share on, the smaller side is more than slips and names.
_MIXED_SHARE = 0.1
# Scripts in which a text can be converted text, and its Traditional forms say something.
TRADITIONAL = frozenset({Script.HANT, Script.MIXED})


def decide_script(counts: ScriptCounts) -> Script:
    """Tell the script from the characters that only one script holds.

    One Simplified character among Traditional ones is a name or a slip (并 庄 约 …) and is ignored. Where no
    Traditional character stands beside it, it decides: such texts are short, and Simplified.

    Returns:
        `undetermined` where nothing decides, `mixed` where both scripts have more than a tenth of the deciding
        characters.
    """
    simplified, traditional = counts.num_simplified_only, counts.num_traditional_only
    if simplified == 1 and traditional >= 1:
        simplified = 0
    deciding = simplified + traditional
    if deciding == 0:
        return Script.UNDETERMINED
    share = simplified / deciding
    if share <= _MIXED_SHARE:
        return Script.HANT
    if share >= 1 - _MIXED_SHARE or traditional == 1:
        return Script.HANS
    return Script.MIXED
