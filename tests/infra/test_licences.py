"""What ships to Azure may be used, and docs/security.md names each package with its licence, as the package says it."""

from __future__ import annotations

import re
from email.message import Message
from importlib.metadata import metadata
from typing import Any

import pytest
from packaging.markers import Marker

from local.paths import ROOT
from tests.infra.test_package import normal, pinned

ALLOWED = {"Apache-2.0", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "PSF-2.0"}
CLASSIFIERS = {
    "Apache Software License": "Apache-2.0",
    "BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
FREE_TEXTS = {
    "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT",
    # pypdfium2: its own code, and PDFium with what that contains, each with its text in the wheel; none is copyleft.
    "BSD-3-Clause, Apache-2.0, dependency licenses": "BSD-3-Clause AND Apache-2.0",
}


def licence_of(package: Any) -> str:
    """The licence in a package's metadata, as an SPDX expression or as the package says it; "unknown" if it says none.

    Source: https://packaging.python.org/specifications/core-metadata/#license-expression
    """
    if expression := package.get("License-Expression"):
        return str(expression)
    classifiers = package.get_all("Classifier") or []
    named = [c.rpartition(" :: ")[2] for c in classifiers if c.startswith("License :: OSI Approved ::")]
    if named:
        return " OR ".join(sorted(CLASSIFIERS.get(name, name) for name in named))
    text = str(package.get("License") or "unknown").strip()
    return FREE_TEXTS.get(text, text)


def is_allowed(expression: str) -> bool:
    """Whether all parts of an expression are allowed; of alternatives one is enough."""
    return all(
        any(part.strip() in ALLOWED for part in re.split(r"\s+OR\s+", both.strip("() ")))
        for both in re.split(r"\s+AND\s+", expression)
    )


def shipped() -> list[str]:
    """The packages of requirements.txt that this Python has. The others have a marker that leaves them out."""
    return sorted(
        {name for name, marker in pinned(ROOT / "requirements.txt") if not marker or Marker(marker).evaluate()}
    )


def documented() -> dict[str, str]:
    """Package -> licence, from the table in docs/security.md."""
    section = (ROOT / "docs" / "security.md").read_text().partition("## Licences")[2]
    table = section.partition("|---|---|---|\n")[2].partition("\n\n")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {normal(name): licence for names, licence, _ in rows for name in names.split(", ")}


@pytest.mark.parametrize("name", shipped())
def test_each_package_may_be_shipped_and_is_documented(name: str) -> None:
    licence = licence_of(metadata(name))
    assert is_allowed(licence), f"{name} has the licence {licence!r}: see docs/security.md, Licences"
    assert documented()[name] == licence


def test_the_table_has_no_package_that_is_not_shipped() -> None:
    assert set(documented()) == set(shipped())


@pytest.mark.parametrize(
    ("fields", "licence", "allowed"),
    [
        ({"License-Expression": "MIT"}, "MIT", True),
        ({"License-Expression": "MIT OR AGPL-3.0-only"}, "MIT OR AGPL-3.0-only", True),
        ({"License-Expression": "MIT AND GPL-2.0-only"}, "MIT AND GPL-2.0-only", False),
        ({"License-Expression": "AGPL-3.0-or-later"}, "AGPL-3.0-or-later", False),
        ({"Classifier": "License :: OSI Approved :: MIT License"}, "MIT", True),
        ({"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"}, None, False),
        ({"Classifier": "License :: Other/Proprietary License", "License": "Ours"}, "Ours", False),
        ({"License": "GPLv3"}, "GPLv3", False),
        ({}, "unknown", False),
    ],
)
def test_what_is_not_allowed_is_seen(fields: dict[str, str], licence: str | None, allowed: bool) -> None:
    package = Message()
    for name, value in fields.items():
        package[name] = value
    assert licence is None or licence_of(package) == licence
    assert is_allowed(licence_of(package)) is allowed
