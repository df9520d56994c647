"""The CI/CD workflow: it has no secrets and only the permissions that it needs, and the commands that it runs exist."""

import re

from local.paths import ROOT
from tests.infra.tools import read_yaml

WORKFLOW = ROOT / ".github" / "workflows" / "deploy.yml"

CHECK = "./infra/scripts/check-templates.sh"


def faults(text: str) -> list[str]:
    workflow = read_yaml(text)
    found = []
    if "secrets." in text:
        found.append("a secret is used")
    if workflow.get("permissions") != {"contents": "read"}:
        found.append("jobs have more than read permission by default")
    used = [step["uses"] for job in workflow["jobs"].values() for step in job["steps"] if "uses" in step]
    found += [f"{action} is not a commit" for action in used if not re.fullmatch(r"[\w/.-]+@[0-9a-f]{40}", action)]
    deploy = workflow["jobs"]["deploy"]
    if deploy.get("permissions") != {"contents": "read", "id-token": "write"}:
        found.append("the deployment cannot sign in, or has more permissions than that")
    if deploy.get("needs") != "test":
        found.append("the deployment does not wait for the tests")
    commands = [step.get("run", "") for step in deploy["steps"]]
    if not any("azd provision" in command for command in commands) or not any(
        "azd deploy" in command for command in commands
    ):
        found.append("nothing is deployed")
    if [step["run"] for step in workflow["jobs"]["test"]["steps"] if "run" in step] != ["make test ALL=1", CHECK]:
        found.append("the tests are not run")
    asked = {name for name in deploy["env"] if f"vars.{name}" in text}
    if asked != {"AZURE_CLIENT_ID", "AZURE_TENANT_ID", "AZURE_SUBSCRIPTION_ID", "AZURE_ENV_NAME", "AZURE_LOCATION"}:
        found.append(f"the variables are {asked}")
    return found


def test_the_workflow_has_no_faults() -> None:
    assert faults(WORKFLOW.read_text()) == []


def test_faults_in_the_workflow_are_found() -> None:
    text = WORKFLOW.read_text()
    assert "the tests are not run" in faults(text.replace(CHECK, "true"))
    assert "a secret is used" in faults(text.replace("vars.AZURE_TENANT_ID", "secrets.AZURE_TENANT_ID"))
    assert "the deployment does not wait for the tests" in faults(text.replace("    needs: test\n", ""))
    assert faults(text.replace("      id-token: write\n", ""))
    assert faults(re.sub(r"(azure/login)@\w+", r"\1@v2", text)) == ["azure/login@v2 is not a commit"]


def test_the_readme_names_every_variable() -> None:
    readme = (ROOT / "infra" / "README.md").read_text()
    for name in read_yaml(WORKFLOW.read_text())["jobs"]["deploy"]["env"]:
        assert name in readme
