"""How well a word of a question fits a word of the name of a column: `hwy` with "highway", `temp` with "hottest"."""

from __future__ import annotations

import re
from difflib import SequenceMatcher

from local.openai_emulator.models.offline.data import vocabulary as words
from local.openai_emulator.models.offline.words import stem

_DONE = frozenset(["scored", "marked", "pointed", "graded", "ordered", "requested"])  # verbs, not the nouns
LIMITS = frozenset(["over", "under", "above", "below", "after", "before", "since", "until", "between", "within"])
SHORTEST_INSIDE = 4  # letters of a word that may be the end of a longer one in a column's name
LONGEST_ENDING = 5  # letters: "salesperson" is not of `Sales`
SHORTEST_DOING = 3  # letters of a verb
SHORTEST_SHORTENED = 5  # letters of a word without some of its vowels
SHORTEST_COMMON = 7  # letters with which two words of one root begin
SURE, SAME = 0.9, 0.7  # how well a word fits one that begins alike; one that means the same
SHORTEST_MISSPELT, MISSPELT = 7, 0.8  # letters, and the similarity of a word and a name with a mistake


def alike(word: str, part: str) -> float:
    """How well a word of a question fits a word of a column's name, 0 to 1."""
    own = stem(word)
    if own == part or word == part:
        return 1.0
    if stem(words.IRREGULAR.get(word, word)) == part:
        return 1.0
    negated = re.match(r"(?:un|non|dis|in|ir|im)(\w{4})", own)
    if negated and part.startswith(negated[1]):
        return 0.0  # "unfurnished" is no misspelt `furnished`
    if word in words.MEASURES | words.CLASSES | LIMITS:  # "the rate" is no `rater`, "over" no `overtime`
        return 0.0
    if len(part) >= SHORTEST_DOING and re.fullmatch(rf"{re.escape(part)}(?:e?rs?|ing)", word):
        return 0.9  # "skiers" for `ski`
    begins = part.startswith(own) or (own.startswith(part) and len(own) <= len(part) + LONGEST_ENDING)
    rest = part.removeprefix(own)
    other = len(own) == SHORTEST_INSIDE and len(rest) == 1 and rest not in "sydern"  # "star" is no `start`
    other = other or own == "count"  # no `country` and no `county`
    if min(len(own), len(part)) >= 4 and begins and not part.isdigit() and not other:
        return 0.9
    is_long = min(len(own), len(part)) >= SHORTEST_COMMON
    if is_long and own[:SHORTEST_COMMON] == part[:SHORTEST_COMMON]:  # "subscribers": `Subscription`
        return SURE
    if min(len(own), len(part)) >= SHORTEST_MISSPELT and SequenceMatcher(None, own, part).ratio() >= MISSPELT:
        return 0.85
    if ends(part, own) and word not in words.SILENT | words.METHOD:
        return 0.8
    if word in _DONE or word in (f"{part}y", f"{part}{part[-1:]}y"):  # "windy" days are no `wind`
        return 0.0
    if consonants(word, part) or _without_some_vowels(own, part):
        return 0.8
    return SAME if any(own in group and part in group for group in words.SAME) else 0.0


def ends(part: str, own: str) -> bool:
    """Whether a part of a name ends with a word: `libprice` with "price"; both are stems, without an e at the end."""
    own = own.rstrip("e")
    part = part.rstrip("e")
    prefixed = part.removesuffix(own) in ("re", "un", "non", "in", "dis", "pre")
    cuts = range(4, len(part) - SHORTEST_INSIDE + 1)
    if any(own.startswith(part[at:]) and 2 * (len(part) - at) > len(own) for at in cuts) and own not in part:
        return len(own) >= SHORTEST_MISSPELT  # `streetaddr` with "address"
    return len(own) >= SHORTEST_INSIDE and part != own and part.endswith(own) and not prefixed


def consonants(word: str, part: str) -> bool:
    """Whether a part of a name is a word without its vowels, or only some of its consonants: `hwy`, `cty`, `wt`."""
    part = re.sub("i$", "y", part)  # the stem of `hwy` is hwi
    if len(part) < 2 or re.search(r"[aeiou\d]", part) or len(word) <= len(part) or word[0] != part[0]:
        return False
    letters = iter(word[1:])
    ends = len(part) > 2 or word.endswith(part[-1])
    return ends and all(letter in letters for letter in part[1:])


def _without_some_vowels(own: str, part: str) -> bool:
    """Whether a part of a name is a word with some of its vowels left out: `bathrms` with "bathrooms"; both stems."""
    letters = iter(own)
    is_same = re.sub(r"[aeiou]", "", own) == re.sub(r"[aeiou]", "", part)
    return is_same and SHORTEST_SHORTENED <= len(part) < len(own) and all(letter in letters for letter in part)
