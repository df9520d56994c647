"""Verbs that add nothing to what they stand before: "chose" in "how many people chose rail"."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Left out are verbs that are a condition or a measure, with or without an object: what came out of something (won,
# died, passed), what somebody is to a thing (teach, lead, star), what has an opposite (buy and sell, import and
# export), what changes (rose, fell).
_REGULAR = """
answer appear apply assign attend believe call care carry collect consider contain cook cover deliver describe deserve
design direct discover employ enjoy enter establish exist experience face feature file fill found gather handle happen
head help host house include install involve join classify flag label lie list look march mark mention name need
occupy offer open operate order own park perform pick place plan plant play possess prefer prescribe present publish
rank reach receive record register release rely remain report represent request require respond review sail sample say
seat select serve ship sign spend stage start state stay stretch study suffer supply surround tag tend transport
travel train treat try use visit vote walk want watch wear weigh work
"""
_IRREGULAR = """
brought built came chosen chose drawn drew driven drove takes eaten ate drank drink drinks drunk drinking go goes burn
burns burned burnt flew flown gave given held kept knew known laid lain lay made meant met put read rode ridden said
sat sent seen saw sang showed slept spent stood told took taken thought wore worn written wrote choose bring build
come draw drive eat fly give hold know make mean meet ride send see sing sleep stand tell take think write sits puts
holds keeps gives makes lies sees saying gets got staying sitting lying putting holding giving making taking keep
choosing chooses brings brings builds comes draws drives eats flies knows means meets rides sends sings sleeps stands
tells thinks writes bringing building drawing driving eating flying knowing meeting riding sending singing sleeping
standing telling thinking writing
"""


def _forms(verb: str) -> Iterator[str]:
    yield verb
    if verb.endswith("y") and verb[-2] not in "aeou":
        yield from (f"{verb[:-1]}ies", f"{verb[:-1]}ied", f"{verb}ing")
    elif verb.endswith("e"):
        yield from (f"{verb}s", f"{verb}d", f"{verb[:-1]}ing" if verb != "lie" else "lying")
    else:
        last = verb[-1] if re.fullmatch(r"plan|ship", verb) else ""
        yield from (
            f"{verb}{'es' if re.search(r'(?:s|sh|ch|x)$', verb) else 's'}",
            f"{verb}{last}ed",
            f"{verb}{last}ing",
        )


ACTING = frozenset(form for verb in _REGULAR.split() for form in _forms(verb)) | frozenset(_IRREGULAR.split())
