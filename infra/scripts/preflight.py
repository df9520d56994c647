"""Looks, before azd creates anything, for what would stop the deployment: values, addresses, topic, quota, regions.

Uses only Python's standard library, and `az` to read. Exits with 1 and what to do when something is wrong.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

MAIN = Path(__file__).resolve().parents[1] / "main.bicep"
PARAMETERS = MAIN.with_suffix(".bicepparam")
USABLE_REGIONS = 3  # of those that are named when the chosen one does not do

Az = Callable[..., Any]  # the parsed JSON of `az ARGUMENTS`; None when it fails


class Fault(Exception):
    """Something that would stop the deployment, and what to do about it."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.advice = advice


def check_addresses(text: str) -> None:
    """ALLOWED_IPS as Storage takes it: public IPv4 addresses, and ranges up to /30.

    Source: https://learn.microsoft.com/azure/storage/common/storage-network-security#grant-access-from-an-internet-ip-range
    """
    for item in filter(None, (part.strip() for part in text.split(","))):
        try:
            network = ipaddress.ip_network(item, strict=False)
        except ValueError:
            raise Fault(f"ALLOWED_IPS has {item!r}, which is no IPv4 address.", "Give addresses with commas.") from None
        if network.version != 4:
            raise Fault(f"ALLOWED_IPS has {item}; Storage takes IPv4 only.", "Give the IPv4 address of your network.")
        if "/" in item and network.prefixlen > 30:
            single = ",".join(str(address) for address in network)
            raise Fault(
                f"ALLOWED_IPS has {item}; Storage refuses /31 and /32.",
                f"Give the addresses one by one: azd env set ALLOWED_IPS {single}",
            )
        if not network.is_global:
            raise Fault(f"ALLOWED_IPS has {item}, which is not public.", "Give the address that the internet sees.")


def check_values(environ: Mapping[str, str], parameters: str) -> None:
    """Numbers and switches, by the functions that convert them in main.bicepparam."""
    for kind, name in re.findall(r"\b(int|bool)\(readEnvironmentVariable\('(\w+)'", parameters):
        value = environ.get(name)
        if value and kind == "int" and not re.fullmatch(r"\d{1,9}", value):
            raise Fault(f"{name} is {value!r}, which is no whole number.", f"azd env set {name} NUMBER")
        if value and kind == "bool" and value.lower() not in ("true", "false"):
            raise Fault(f"{name} is {value!r}; it is true or false.", f"azd env set {name} true")


def check_topic(environ: Mapping[str, str], az: Az) -> None:
    """A storage account has one system topic: an existing account may have one, which has to be named."""
    account, group = environ.get("EXISTING_STORAGE_NAME"), environ.get("EXISTING_STORAGE_RESOURCE_GROUP")
    if not account or not group:
        return
    named = environ.get("EXISTING_TOPIC_NAME")
    for topic in az("eventgrid", "system-topic", "list", "--resource-group", group) or ():
        if not str(topic["source"]).lower().endswith(f"/storageaccounts/{account.lower()}"):
            continue
        own = (topic.get("tags") or {}).get("azd-env-name") == environ.get("AZURE_ENV_NAME")
        if topic["name"] != named and not own:
            advice = f"Use it: azd env set EXISTING_TOPIC_NAME {topic['name']}"
            raise Fault(f"{account} has the Event Grid system topic {topic['name']} already, and can have one.", advice)
        if "systemassigned" not in str((topic.get("identity") or {}).get("type")).lower():
            give = f"az eventgrid system-topic update -g {group} -n {topic['name']} --identity systemassigned"
            raise Fault(f"The system topic {topic['name']} has no identity of its own, which the roles need.", give)


def check_days(environ: Mapping[str, str]) -> None:
    """A run may wait a week for its caller: its record must not be deleted before."""
    days = environ.get("RECORDS_DAYS") or "0"
    if days != "0" and (not days.isdigit() or int(days) < 30):
        raise Fault(f"RECORDS_DAYS is {days}; it must be 0 or at least 30.", "azd env set RECORDS_DAYS 90")


def free_quota(usages: Iterable[Mapping[str, Any]], model: str, sku: str) -> float | None:
    """Thousands of tokens per minute that are left for this model; None: the region does not have it."""
    wanted = f"OpenAI.{sku}.{model}".lower()
    for usage in usages:
        if str(usage["name"]["value"]).lower() == wanted:
            return float(usage["limit"]) - float(usage["currentValue"])
    return None


def deployed_quota(environ: Mapping[str, str], model: str, sku: str, az: Az) -> float:
    """Thousands of tokens per minute that this environment's deployment has already: a repeated `azd up` keeps them."""
    account, group = environ.get("AZURE_OPENAI_NAME"), environ.get("AZURE_RESOURCE_GROUP")
    if not account or not group:
        return 0
    where = ("--name", account, "--resource-group", group)
    for made in az("cognitiveservices", "account", "deployment", "list", *where) or ():
        if made["name"] == environ.get("OPENAI_MODEL") and made["properties"]["model"]["name"] == model:
            return float(made["sku"]["capacity"]) if made["sku"]["name"] == sku else 0
    return 0


def check_region(environ: Mapping[str, str], regions: Sequence[str], az: Az) -> None:
    """Flex Consumption and quota in the chosen region; otherwise regions that have both. Without `az`: nothing."""
    region = environ.get("AZURE_LOCATION", "")
    flex = az("functionapp", "list-flexconsumption-locations")
    has_flex = {str(place["name"]).lower().replace(" ", "") for place in flex or ()}
    if not region or flex is None:
        return
    model, sku = environ.get("MODEL_NAME") or "gpt-5.4-mini", environ.get("MODEL_SKU") or "GlobalStandard"
    wanted = int(environ.get("MODEL_CAPACITY") or 50)

    def quota(place: str) -> float | None:
        return free_quota(az("cognitiveservices", "usage", "list", "--location", place) or (), model, sku)

    own_model = bool(environ.get("EXISTING_OPENAI_NAME"))
    free = wanted if own_model else quota(region)
    if free is not None and not own_model:
        free += deployed_quota(environ, model, sku, az)
    if region in has_flex and free is not None and free >= wanted:
        return
    others: list[str] = []
    for place in regions:
        if place != region and place in has_flex and (own_model or (quota(place) or 0) >= wanted):
            others.append(place)
        if len(others) == USABLE_REGIONS:
            break
    use = f"Use one of: {', '.join(others)} (azd env set AZURE_LOCATION ...)."
    if not others:
        use = "No other region has both."
    if region not in has_flex:
        raise Fault(f"{region} does not have the Flex Consumption plan.", use)
    left = "no quota at all" if free is None else f"{free:.0f} thousand tokens per minute left"
    less = f"Or take less: azd env set MODEL_CAPACITY {int(free)}." if free else ""
    raise Fault(f"{region} has {left} for {model} ({sku}); the deployment takes {wanted}.", f"{use} {less}".strip())


def allowed_regions(template: str) -> list[str]:
    """The regions that the template allows, from its text."""
    listed = template.split("param location")[0].rsplit("@allowed([", 1)[1]
    return re.findall(r"'(\w+)'", listed)


def run_az(*arguments: str) -> Any:
    path = shutil.which("az")
    if path is None:
        return None
    command = [path, *arguments, "--output", "json"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return json.loads(result.stdout or "null") if result.returncode == 0 else None


def main(environ: Mapping[str, str], az: Az = run_az) -> int:
    try:
        check_values(environ, PARAMETERS.read_text(encoding="utf-8"))
        check_addresses(environ.get("ALLOWED_IPS", ""))
        check_days(environ)
        check_topic(environ, az)
        check_region(environ, allowed_regions(MAIN.read_text(encoding="utf-8")), az)
    except Fault as exc:
        sys.stderr.write(f"\nFAILED: {exc}\n{exc.advice}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
