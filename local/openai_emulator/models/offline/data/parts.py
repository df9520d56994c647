"""The later parts of a question: what they leave unsaid, repeat, or ask more of."""

from __future__ import annotations

import re
from dataclasses import replace

from local.openai_emulator.models.offline.data import vocabulary
from local.openai_emulator.models.offline.data.ask import Ask, Refusal
from local.openai_emulator.models.offline.data.clause import Clause
from local.openai_emulator.models.offline.data.how_many_more import asks_more, left_unsaid
from local.openai_emulator.models.offline.data.idle import HOW_IT_IS
from local.openai_emulator.models.offline.data.names import name_stems
from local.openai_emulator.models.offline.words import stem

# The start of sentences that say how to compute, not what.
METHOD = re.compile(
    r"(?<!\W)\W*+(?:if|ignore|consider|assume|do not|don't|round|use|using|assess|report|return|note|otherwise|"
    r"the null|your|"
    r"outliers? (?:should|is|are)|any (?:data|value|observation)|an? (?:outlier|observation|data)"
    r"|for (?:outlier|calculating)|"
    r"handle|exclude|include|where|the (?:null|values?|results?|calculations?|mean|output|answer"
    r"|strength|p-value)|perform)\b",
    re.IGNORECASE,
)
BACK = re.compile(  # "IT" is a department
    r"\b(?:(?-i:it|It)|its|that|this|those|these|they|them|their|he|she|his|her|same"
    r"|(?<!are )(?<!is )(?<!were )(?<!was )there)\b",
    re.IGNORECASE,
)
_HOW_MUCH_IT_IS = (
    r"\W*how many(?: (?:is|was|are|were) (?:it|that|there|they)"
    r"| (?:minutes|hours|days|seconds|years|weeks|months|miles|units|points) (?:is|was|are|were|do|does|did) "
    r"(?:it|that|they|this)(?: (?:run|last|take|have|get|score))?)?\W*"
)
_HOW_MANY_HAVE_IT = (
    r"\W*how (?:many|often)(?: (?:of them|[a-z]+))?"
    r"(?: (?:have|has|had|uses?|used|get|got|show|are|were|is|was|chose|choose|carry|own|share|bear|does|do|did))?"
    r" ?(?:it|that|this|they|them|these|there|in it|of it|of those)?"
    r"(?: (?:have|occur|appear|happen|come up|noted|seen|recorded|observed|used|listed|reported|chosen|named))?\W*"
)
_HOW_MANY_IN_EACH = (
    r"\W*(?:and )?how many(?: \w+)?(?: (?:are|were|is|was)(?: there)?)?"
    r" (?:in|of|for|from|at|on|do|does|did) (?:each|every)(?: of them)?(?: one)?(?: (?:have|has|get|got|had))?\W*"
)
_HOW_MANY_IT_HAS = r"\W*how (?:many|much) (?:does|do|did) (?:it|they|he|she|that)(?: (?:have|get|make|sell))?\W*"
_HOW_MANY_A = r"^\W*(?:and )?how (?:many|much) (?:for |in |does |do )?(?:an?|the)\b"
_HOW_MANY_CELLS = r"\W*(?:and )?how many [\w ]+? (?:does|do|did|has|have) (?:it|they|he|she|that)\b"
IS_IT = r"^\W*(?:and )?(?:is|was|does|did|are|were|do) (?:it|he|she|they)\b"
_OTHER_END = (
    r"\W*(?:and )?(?:which|who|what)(?: one)?(?: (?:is|was|has|had|have|got|pays?|sold|made))?(?: the)? "
    r"(highest|lowest|most|least|fewest|best|worst|largest|smallest|biggest)(?: one)?\W*"
)
_WHICH_HAS_MOST = (
    r"\W*(?:and )?(?:in )?(?:which|what) (?P<group>\w+) (?:is|was|has|had|have|were|are)(?: there)?(?: the)? "
    r"(?P<end>most|fewest|least|highest|lowest|biggest|largest|smallest)(?: one)?\W*"
)
_SHARE_OF_IT = (
    r"\W*(?:and )?what (?:share|percent|percentage|proportion|fraction)(?: of (?:all|the|our)(?: \w+){1,3})?"
    r" (?:is|was|does|did|are|were) (?:that|it|they|this)(?: (?:have|make|make up|represent|account for))?\W*"
    r"|\W*(?:(?:as|give me|show) )?(?:the )?(?:count|number) and (?:the )?(?:percent(?:age)?|share)(?: please)?\W*"
)
_DO = "did|do|does|have|has|were|are|is|was"
_DID_NOT = rf"\W*(?:and )?how many (?:(?:{_DO}) not|(?:{_DO})n't)\W*"
_TELLS = r"^\W*(?:and )?(?:please )?(?:tell me|show me|give me|i'd like to know|i want to know|also|name)\b(?: also)?"
_ASKS_OF = r"^\W*(?:what|which|who|how|in which|from which)\b"
_SIZES_OF = ("old", "long", "heavy", "tall", "deep", "expensive", "hot", "cold", "far", "young", "fast", "cheap")
FEWEST_WORDS = 3  # of a remark
_LIMITING = vocabulary.NOT | {"only", "just", "exclude", "include", "including", "minus", "plus", "apart", "from"}
_EVERY = r"\b(?:overall|in all|all|whole|every|everyone|everybody|entire|general)\b"
_TESTS = ("correlate", "normality", "regression")  # kinds with a verdict, of which "is it positive?" asks nothing new


def is_chart_of(ask: Ask, clause: Clause) -> bool:
    """Whether a clause only asks for a chart of the ask before: "create a bar chart of it"."""
    own = clause.mentions or clause.conditions or clause.period or clause.by or clause.by_numbers
    return bool(ask.by or ask.period) and clause.chart in ("any", "bar", "line", "pie") and not own


def chart_of(ask: Ask, clause: Clause) -> Ask:
    clause.claim_all(BACK.pattern)
    usual = ask.chart or ("line" if ask.period else "bar")
    return replace(ask, chart=usual if clause.chart == "any" else clause.chart)


def other_ask(ask: Ask, clause: Clause) -> Ask | None:
    """The ask with its other end, "and which the lowest?", or with its condition denied: "and how many did not?"."""
    if ask.kind in ("extreme", "top") and (end := re.fullmatch(_OTHER_END, clause.text, re.IGNORECASE)):
        lowest = end[1].lower() in vocabulary.LOWEST | {"worst"}
        if lowest != ask.lowest and not clause.conditions:
            clause.used |= set(range(len(clause.tokens)))
            return replace(ask, lowest=lowest)
    end = re.fullmatch(_WHICH_HAS_MOST, clause.text, re.IGNORECASE) if ask.kind == "count" else None
    if end and not (ask.targets or ask.method) and len([*ask.by, *([ask.period] if ask.period else [])]) == 1:
        group = set(name_stems(ask.by[0])) if ask.by else {ask.period}
        if end["group"].lower() == "one" or stem(end["group"].lower()) in {*group, *map(stem, group)}:
            clause.used |= set(range(len(clause.tokens)))
            clause.mentions, clause.ambiguous = [], []
            return replace(ask, kind="extreme", hows=("count",), lowest=end["end"].lower() in vocabulary.LOWEST)
    summed = ask.kind == "extreme" and bool(ask.by) and ask.hows in (("sum",), ("count",)) and not clause.conditions
    if summed and re.fullmatch(_SHARE_OF_IT, clause.text, re.IGNORECASE):
        clause.used |= set(range(len(clause.tokens)))
        return replace(ask, kind="share", hows=("sum",), chart="", method="", targets=())
    named = [m for m in clause.mentions if not clause.entity(m.column)]  # "an item" only says what the rows are
    again = ask.kind == "figures" and not (ask.by or ask.period or named or clause.by or clause.hows)
    if again and clause.conditions and clause.says(_HOW_MANY_A):
        clause.claim_all(r"\bhow (?:many|much)\b|\b(?:items?|ones?)\b")
        own = {condition.column for condition in clause.conditions}
        kept = tuple(condition for condition in ask.conditions if condition.column not in own)
        return replace(ask, conditions=(*kept, *clause.conditions))
    last = ask.conditions[-1] if ask.kind == "count" and not ask.by and len(ask.conditions) == 1 else None
    if last and last.test == "==" and re.fullmatch(_DID_NOT, clause.text, re.IGNORECASE):
        clause.used |= set(range(len(clause.tokens)))
        return replace(ask, conditions=(replace(last, test="!=", words=f"not {last.words}"),))
    return None


def tells_more(ask: Ask, clause: Clause) -> bool:
    """Whether a clause asks for more cells of the row that an ask finds: "... and how old is that person?"."""
    asked = clause.says(_TELLS) or (clause.says(BACK.pattern) and clause.says(_ASKS_OF))
    asked = asked or clause.says(IS_IT)
    flags = [c for c in clause.conditions if clause.says(IS_IT) and str(c.value).lower() in vocabulary.YES | {"1.0"}]
    own = len(flags) < len(clause.conditions) or clause.by or clause.by_numbers or clause.period or clause.hows
    if ask.kind != "extreme" or ask.by or ask.period or own or clause.chart or not asked:
        return False
    if not (clause.mentions or flags):
        return False
    cells = re.match(_HOW_MANY_CELLS, clause.text, re.IGNORECASE)
    of_cell = cells is not None and len(clause.mentions) == 1 and clause.mentions[0].column.kind == "number"
    counted = clause.says(r"\bhow (?:many|often)\b") and not of_cell
    if counted or any(c.name in ask.measures for c in clause.measures()):
        return False
    ends = vocabulary.HIGHEST | vocabulary.LOWEST | set(vocabulary.ADJECTIVES)
    if any(clause.word(i) in ends for i in clause.free()):
        return False
    clause.claim_all(_TELLS)
    clause.claim_all(BACK.pattern)
    return not clause.left()


def told_more(ask: Ask, clause: Clause) -> Ask:
    """The ask with the columns that a later clause names as cells that are asked for."""
    more = [*(mention.column.name for mention in clause.mentions), *(c.column for c in clause.conditions)]
    return replace(ask, targets=tuple(dict.fromkeys((*ask.targets, *more))))


def is_within(ask: Ask, other: Ask) -> bool:
    """Whether an ask repeats a part of another one."""
    if ask.kind == "count":
        return ask == other
    same = ask.kind == other.kind and ask.of_winner == other.of_winner and set(ask.measures) <= set(other.measures)
    return (
        same
        and set(ask.conditions) <= set(other.conditions)
        and (set(ask.hows) <= set(other.hows) or ask.kind != "figures")
    )


def check_size(clause: Clause) -> None:
    """Note that "how old is it" asks for something else than the question before: it says no "oldest"."""
    found = re.search(HOW_IT_IS, clause.text, re.IGNORECASE)
    size = found[1].lower() if found else ""
    named = found is not None and any(clause.within(found) & set(mention.tokens) for mention in clause.mentions)
    before = re.sub(HOW_IT_IS, "", clause.whole, flags=re.IGNORECASE)
    if size in _SIZES_OF and not named and not re.search(rf"\b{size}\w*", before, re.IGNORECASE):
        clause.ambiguous.append(f'It is not clear what "how {size}" asks for.')


def _start_of_said_again(clause: Clause, inside: list[int]) -> int:
    """The first of the words that conditions in brackets explain: two, or all behind the verb that say their number.

    "Games strictly for two players (min and max players both 2)".
    """
    first = inside[0] - 2
    values = {condition.value for condition in clause.conditions if isinstance(condition.value, float)}
    verb = next((i for i in range(inside[0] - 1, -1, -1) if clause.word(i) in vocabulary.VERBS), -1)
    said = {float(vocabulary.NUMBERS.get(clause.word(i), -1)) for i in range(verb + 1, inside[0])}
    return min(first, verb + 1) if verb >= 0 and said & values else first


def leave_remarks(clause: Clause) -> None:
    """Leave out a remark in brackets that names nothing of the table: "(people could tick several)".

    The words that a condition in brackets explains are accounted for: "rodents (order Rodentia)".
    """
    for match in re.finditer(r"\(([^()]{3,80})\)", clause.text):
        inside = sorted(clause.within(match))
        free = [i for i in inside if i in clause.free()]
        plain = all(clause.word(i).isalpha() and clause.word(i) not in _LIMITING for i in free)
        if free and len(free) == len(inside) and plain and len(free) >= FEWEST_WORDS:
            clause.used |= set(free)
            clause.notes.append(f'"{match[0]}" was not used')
        named = any(set(at) & set(inside) for _, at in clause.places)
        if named and not [i for i in free if clause.word(i) not in vocabulary.SILENT]:
            before = [
                i for i in range(inside[0] - 1, _start_of_said_again(clause, inside) - 1, -1) if i in clause.free()
            ]
            clause.used |= {i for i in before if clause.word(i) not in vocabulary.NOT and clause.word(i).isalpha()}


def shares_end(before: Clause, clause: Clause, first: Ask, ask: Ask) -> Ask | Refusal:
    """The first ask of "how many men and how many women do yoga" with the condition that only the second part says."""
    both = first.kind == ask.kind == "count" and bool(first.conditions) and not (first.targets or ask.targets)
    verbs = [i for i in range(len(before.tokens)) if before.word(i) in vocabulary.VERBS]
    own = {condition.column for condition in first.conditions}
    more = tuple(condition for condition in ask.conditions if condition.column not in own)
    if not both or verbs or not more or BACK.search(clause.text) or not before.says(r"^\W*how many\b"):
        return first
    if own < {condition.column for condition in ask.conditions}:
        return replace(first, conditions=(*first.conditions, *more))
    if len(more) > 1:
        return Refusal(reason='It is not clear whether the last condition is for the first "how many", too.')
    return first


def counts_nothing(clause: Clause, at: int, asks: list[Ask], lead: Clause | None, *, refers: bool) -> Refusal | None:
    """A refusal when a second "how many" does not say what is counted."""
    said = clause.mentions or clause.conditions or (lead is not None and lead.conditions)
    if at and not asks and lead is not None and not said:
        return Refusal(reason='It is not clear what "how many" counts.')
    if refers and asks and asks[-1].method == "mode":
        return Refusal(reason="The rows with the value that was found are not counted.")
    if refers and asks and asks[-1].kind == "extreme" and not has_winner(clause, asks[-1]):
        return Refusal(reason="The rows with the value that was found are not counted.")
    return None


def inherit(clause: Clause, name: str, before: Ask) -> Refusal | None:
    """Give a second part the conditions that it does not say again; a refusal if it is not clear which are meant."""
    if before.method == "mode" and name in ("share", "figures", "extreme", "lookup") and clause.says(BACK.pattern):
        return Refusal(reason="The rows with the value that was found are not looked at.")
    if clause.says(r"\bof (?:them|those|these|that)\b"):  # "and how many of them are active?"
        if name != "count":
            return Refusal(reason="It is not clear of which rows the second part is.")
        own = {condition.column for condition in clause.conditions}
        clause.conditions += [condition for condition in before.conditions if condition.column not in own]
    elif name == before.kind == "share" and clause.conditions:
        own = {condition.column for condition in clause.conditions}
        if own != {condition.column for condition in before.conditions}:
            return Refusal(reason="It is not clear of which rows the second share is.")
    elif name == before.kind == "count":
        more = left_unsaid(before, clause)
        if isinstance(more, Refusal):
            return more
        clause.conditions += more
    elif before.conditions and _goes_on(clause, name):
        return _inherit_all(clause, name, before)
    return None


def _inherit_all(clause: Clause, name: str, before: Ask) -> Refusal | None:
    """Give a second part that says nothing of its own about the rows the conditions of the first one, if it can.

    "How many are in Sales, and what is the average salary?", "How many films are horror, and which one is the longest?"
    """
    unclear = Refusal(reason="It is not clear whether the second part is about the same rows as the first.")
    if name not in ("figures", "extreme") or before.kind not in ("figures", "count", "lookup", "extreme"):
        return unclear if name in ("share", "top", "extreme") and before.kind == "count" else None
    columns = {condition.column for condition in before.conditions}
    if clause.by or clause.by_numbers or clause.period or (clause.which and not clause.entity(clause.which)):
        grouped = {c.name for c in (*clause.by, *clause.by_numbers, *([clause.which] if clause.which else []))}
        return None if grouped & columns else unclear  # "how many are from France, and which country has the most?"
    if {c.name for c in clause.measures()} & columns:
        return unclear  # "How many had no discount, and what is the average discount?"
    clause.conditions += before.conditions
    return None


def _goes_on(clause: Clause, name: str) -> bool:
    """Whether a second part is joined to the first one, and says nothing of its own about the rows."""
    before = clause.whole[: clause.whole.rfind(clause.text)].rstrip()
    own = bool(clause.conditions) and name != "share"  # those of a share are its part
    return not own and before.endswith((",", "and")) and not clause.of_all and not clause.says(_EVERY)


def has_winner(clause: Clause, ask: Ask) -> bool:
    """Whether the group that an ask finds has several rows; else it finds a row."""
    column = clause.table.column(ask.by[0]) if len(ask.by) == 1 else None
    return bool(ask.by) and not (column is not None and clause.entity(column))


def asks_nothing(clause: Clause, name: str, asks: list[Ask], *, refers: bool) -> bool:
    """Whether a later clause says how to compute, or repeats what is asked for already."""
    if METHOD.match(clause.text):
        return True
    last = asks[-1] if asks else None
    if name == "count" and last and re.fullmatch(_HOW_MANY_HAVE_IT, clause.text, re.IGNORECASE):
        if last.method == "mode" or last.hows == ("count",):
            return True  # "What is the most common term, and how many loans have it?"
        if last.kind == "missing" and not (clause.mentions or clause.conditions):
            return True  # "Are any missing? How many?"
    one = last is not None and last.kind == "count" and len({c.column for c in last.conditions}) == 1 and not last.by
    if one and re.fullmatch(_SHARE_OF_IT, clause.text, re.IGNORECASE):
        clause.used |= set(range(len(clause.tokens)))
        return True  # the answer tells the share of all rows, too
    counts = last is not None and last.kind in ("top", "count") and (last.hows == ("count",) or bool(last.by))
    if name == "count" and counts and re.fullmatch(_HOW_MANY_IN_EACH, clause.text, re.IGNORECASE):
        clause.used |= set(range(len(clause.tokens)))
        return True  # "the 3 most common jobs, and how many people in each?"
    is_it = any(re.fullmatch(said, clause.text, re.IGNORECASE) for said in (_HOW_MUCH_IT_IS, _HOW_MANY_IT_HAS))
    if name == "count" and last and last.kind == "extreme" and is_it:
        return True  # "Which month had the most births, and how many?"
    measures = {column.name for column in clause.measures()}
    again = bool(measures) and bool(asks) and measures <= set(asks[-1].measures) and not clause.conditions
    if again and refers and asks[-1].kind == "extreme" and not clause.hows and len(clause.mentions) == 1:
        return True  # "What is the most streamed song, and how many streams does it have?"
    same = measures and last is not None and last.kind == "extreme" and not last.by and measures <= set(last.measures)
    if same and re.fullmatch(r"\W*(?:and )?how (?:many|much)\b[\w ]*\W*", clause.text, re.I) and not clause.conditions:
        return not clause.left()  # "What was the longest trip, and how many miles?"
    named = clause.mentions or clause.conditions or clause.hows or clause.period
    if name in ("figures", "lookup") and refers and not named and asks and asks[-1].kind == "extreme":
        return True  # "Which state has the lowest losses, and how much are they?"
    if name == "count" and clause.says(r"^\W*(?:which|who|what)\b"):
        return False
    if name in ("count", "lookup") and clause.left():
        return False  # "and how many from 2000 on?" says something more
    return not asks_more(clause, name) and any(a.kind == name for a in asks) and (not refers or name in _TESTS)
