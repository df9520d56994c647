"""Checks what stands in front of the app when people sign in with Entra, and what pages of other sites may do."""

from collections.abc import Iterator

from tests.infra import app_facts
from tests.infra.tools import Templates

BLOB_WEBHOOK = "/runtime/webhooks/blobs"  # it wants a key of its own, which only Event Grid has


def sign_in(templates: Templates) -> Iterator[str]:
    """The sign-in is in front of all that wants no key then; pages of other sites may only put blobs, not read them."""
    (config,) = [config for _, _, config in templates.resources("Microsoft.Web/sites/config")]
    rules = config["properties"]["globalValidation"]
    if rules["requireAuthentication"] is not True or config["properties"]["platform"]["enabled"] is not True:
        yield "the sign-in is not required"
    anonymous = {
        f"/{trigger['route']}"
        for trigger in app_facts.triggers().values()
        if trigger["type"] == "httpTrigger" and trigger["authLevel"].lower() == "anonymous"
    }
    wanted = {route for route in anonymous if "{" not in route} | {BLOB_WEBHOOK}
    yield from (f"{path} needs a sign-in" for path in wanted - set(rules["excludedPaths"]))
    yield from (f"{path} needs no sign-in" for path in set(rules["excludedPaths"]) - wanted)
    if config["properties"]["identityProviders"]["azureActiveDirectory"]["validation"]["allowedAudiences"] != [
        "entraClientId",
        "api://${entraClientId}",
    ]:
        yield "tokens for other apps are taken"
    for _, _, blobs in templates.resources("Microsoft.Storage/storageAccounts/blobServices"):
        for rule in blobs["properties"]["cors"]["corsRules"]:
            if rule["allowedMethods"] != ["PUT"] or rule["allowedOrigins"] != "corsOrigins":
                yield "pages of other sites may do more in storage than put a blob"
