"""What infra/README.md names is there."""

import re

from tests.infra.checks import ROLES
from tests.infra.tools import INFRA

README = (INFRA / "README.md").read_text()


def test_links_lead_somewhere() -> None:
    links = re.findall(r"\]\((?!https)([^)#]+)\)", README)
    assert links
    assert [link for link in links if not (INFRA / link).exists()] == []


def test_every_parameter_from_the_environment_is_explained() -> None:
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))
    assert {name for name in read if f"`{name}`" not in README and f"`{name}" not in README} - {
        "AZURE_PRINCIPAL_ID"
    } == set()


def test_every_role_is_explained() -> None:
    assert [role for _, role, _ in ROLES if role not in README] == []
