"""What Microsoft's compiler would say of the templates, as far as it can be known without it.

Each check follows the source of one rule: https://github.com/Azure/bicep, src/Bicep.Core, Analyzers/Linter/Rules and
PrettyPrintV2. The versions are those of Microsoft's types of 2026-08-20.
"""

import re
from collections.abc import Iterator
from datetime import date, timedelta

from tests.infra.checks import API_VERSIONS
from tests.infra.tools import Templates, body

WIDTH = 120  # characters of a line, the formatter's default
STRING = r"'(?:[^'\\]|\\.)*'"
# The formatter breaks calls with several arguments, and arrays and objects; it cannot break these.
CANNOT_BREAK = rf"\s*(//.*|@\w+\({STRING}\)|metadata \w+ = {STRING}|\w+: {STRING})"

REVIEWED_ON = date(2026, 11, 26)
RECENT = timedelta(days=730)
# Older, and the newest stable version of their type.
NEWEST = {
    "Microsoft.Authorization/roleAssignments",
    "Microsoft.Insights/actionGroups",
    "Microsoft.Insights/components",
    "Microsoft.Insights/workbooks",
    "Microsoft.Logic/workflows",
    "Microsoft.Network/privateDnsZones",
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks",
}
EXCUSED = "#disable-next-line use-recent-api-versions\n"


def lines(templates: Templates) -> Iterator[str]:
    """The formatter would break no line, and join none."""
    for path in templates.trees:
        text = templates.text(path)
        for line in text.splitlines():
            if len(line) > WIDTH and not re.fullmatch(CANNOT_BREAK, line):
                yield f"{path}: longer than {WIDTH}: {line.strip()[:60]}"
            if re.search(r"= \[for |: \[for |\s$|\t", line):
                yield f"{path}: not as the formatter writes it: {line.strip()[:60]}"
        for begin, inner in re.findall(r"^(.*\w\()\n((?:.*[^{\[(],?\n)+?) *\)$", text, flags=re.M):
            joined = begin + " ".join(part.strip() for part in inner.splitlines()) + ")"
            if len(joined) <= WIDTH:
                yield f"{path}: fits into one line: {joined.strip()[:60]}"


def secrets_by_name(templates: Templates) -> Iterator[str]:
    """secure-secrets-in-params: a text or an object with such a name is taken for a secret."""
    for path in templates.bicep:
        for decorated, name in re.findall(r"((?:^@.*\n)*)^param (\w+) (?:string|object)\b", templates.text(path), re.M):
            secret = re.search(r"password|pwd|secret|accountkey|acctkey", name, re.I)
            allowed = re.search(r"secret(permissions|version|ur[il]|name)", name, re.I)
            if secret and not allowed and "@secure()" not in decorated:
                yield f"{path}: {name} is not secure"


def recent_versions(templates: Templates) -> Iterator[str]:
    """use-recent-api-versions: a stable version of the last two years, or the newest one."""
    for path, tree in templates.bicep.items():
        for symbol, resource in tree.get("resources", {}).items():
            type, version = resource["type"], resource["api_version"]
            recent = REVIEWED_ON - date.fromisoformat(version[:10]) <= RECENT and len(version) == len("2026-01-01")
            if not (recent or type in NEWEST or f"{EXCUSED}resource {symbol} " in templates.text(path)):
                yield f"{path}: {symbol} is {type}@{version}"
    yield from (f"{type} is not used" for type in NEWEST - API_VERSIONS.keys())


def needless_depends_on(templates: Templates) -> Iterator[str]:
    """no-unnecessary-dependson: what a module's outputs bring along already, over any number of modules."""
    modules = templates.trees["main.bicep"]["modules"]
    text = templates.text("main.bicep")
    uses = {
        name: set(re.findall(r"\b(\w+)!?\.outputs\.", text[text.index(f"module {name} ") :].split("\n}\n")[0]))
        for name in modules
    }
    for name, module in modules.items():
        implied: set[str] = set()
        waiting = set(uses[name])
        while waiting:
            used = waiting.pop()
            implied.add(used)
            waiting |= uses[used] - implied
        for given in body(module).get("dependsOn", []):
            if given in implied:
                yield f"main.bicep: {name} depends on {given} by its outputs"


ALL = (lines, secrets_by_name, recent_versions, needless_depends_on)
