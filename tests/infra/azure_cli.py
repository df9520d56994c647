"""The arguments that Azure CLI has for the commands that this repository uses, from its sources (azure-cli 2.91.0).

Source: https://learn.microsoft.com/cli/azure/reference-index, one page a group of commands
"""

from collections.abc import Iterable, Iterator

EVERYWHERE = {"--output", "-o", "--query", "--only-show-errors"}
GROUP, NAME = {"--resource-group", "-g"}, {"--name", "-n"}
ARGUMENTS: dict[str, set[str]] = {
    "account get-access-token": {"--resource", "--scope", "--subscription", "--tenant", "-t"},
    "account set": {"--subscription", *NAME, "-s"},
    "ad app create": {
        *("--display-name", "--sign-in-audience", "--enable-id-token-issuance", "--web-redirect-uris"),
    },
    "ad app update": {"--id", "--identifier-uris", "--set"},
    "ad sp create": {"--id"},
    "cognitiveservices account deployment list": {*GROUP, *NAME},
    "cognitiveservices account purge": {*GROUP, *NAME, "--location", "-l"},
    "cognitiveservices usage list": {"--location", "-l"},
    "deployment group create": {*GROUP, *NAME, "--template-file", "-f", "--parameters", "-p"},
    "eventgrid system-topic list": {*GROUP, "--odata-query"},
    "eventgrid system-topic update": {*GROUP, *NAME, "--identity", "--tags"},
    "functionapp keys list": {*GROUP, *NAME, "--slot", "-s"},
    "functionapp list-flexconsumption-locations": {"--runtime", "--show-details", "--zone-redundant"},
    "login": set(),
    "monitor app-insights query": {*GROUP, "--app", "-a", "--analytics-query", "--offset"},
    "provider register": {"--namespace", *NAME},
    "resource list": {*GROUP, *NAME, "--resource-type"},
    "role assignment list": {"--assignee", "--scope", "--all"},
    "storage blob upload": {*("--auth-mode", "--account-name", "--container-name", "-c", "--file", "-f"), *NAME},
    "storage message peek": {"--auth-mode", "--account-name", "--queue-name", "-q"},
}


def undocumented(command: Iterable[str]) -> Iterator[str]:
    """What the Azure CLI does not have of a command, given as its words after `az`."""
    words = list(command)
    name = " ".join(word for word in words[: next((i for i, w in enumerate(words) if w[:1] == "-"), None)])
    if name not in ARGUMENTS:
        yield f"az {name}"
        return
    for word in words:
        if word[:1] == "-" and word not in ARGUMENTS[name] | EVERYWHERE:
            yield f"az {name} {word}"
