"""The files, modules and commands that the documentation names exist; infra/README.md explains what infra/ has.

Rules that tell a name from other text:

* A link is a path unless it has a scheme (`https:`) or is an anchor (`#...`). It is relative to the page.
* A word anywhere on the page, except in a URL, is a path when it ends like a source file (`SOURCES`). It is relative to
  the page or the repository, or the end of a path: `poller.py` stands for `shared/runs/poller.py`.
* A word in backticks is a path when its first part is at the top of the repository: `shared/engines/`.
* `python -m a.b` names a module when `a` is at the top of the repository.
* `make x` in backticks or in a block of code names a target of the Makefile.

Everything else is not checked: blob names (`answers/run_1/answer.json`), routes (`/api/runs`), generated files
(`.local/demo`), other commands, and names with placeholders (`{id}`, `<path>`).
"""

import re
from pathlib import Path

import pytest

from local.paths import ROOT
from tests.infra.azure_cli import undocumented
from tests.infra.checks import ROLES
from tests.infra.tools import INFRA, Templates

README = (INFRA / "README.md").read_text()
PAGES = [
    ROOT / "README.md",
    INFRA / "README.md",
    INFRA / "samples" / "README.md",
    ROOT / "local" / "openai_emulator" / "COVERAGE.md",
    *(page for page in [ROOT / "CONTRIBUTING.md"] if page.exists()),
    *sorted((ROOT / "docs").glob("*.md")),
]
SOURCES = "py|bicep|bicepparam|sh|ps1|toml|yml|yaml"
GENERATED = {".git", ".local", ".venv", "__pycache__"}

FILES = [
    str(path.relative_to(ROOT))
    for top in ROOT.iterdir()
    if top.name not in GENERATED
    for path in ([top] if top.is_file() else top.rglob("*"))
]
TOP = {name.split("/")[0] for name in FILES if not name.startswith(".")} | {".github"}


def links(text: str) -> set[str]:
    return set(re.findall(r"\]\((?![a-z]+:)([^)#\s]+)", text))


def source_files(text: str) -> set[str]:
    text = re.sub(r"[a-z]+://\S+", "", text)
    return set(re.findall(rf"(?<![\w}}>*/.-])(?:\./)?([\w.-]*\w(?:/[\w.-]+)*\.(?:{SOURCES}))(?![\w/*-]|\.\w)", text))


def quoted_paths(text: str) -> set[str]:
    words = re.findall(r"`(?:\./)?([\w.-]+(?:/[\w.*-]+)*/?)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return {word for word in words if word.split("/")[0] in TOP}


def modules(text: str) -> set[str]:
    return {name for name in re.findall(r"python -m ([\w.]+)", text) if name.split(".")[0] in TOP}


def targets(text: str) -> set[str]:
    code = re.findall(r"```.*?```|`[^`]+`", text, flags=re.S)
    return {
        name for block in code for name in re.findall(r"(?:^|`|&& |[A-Z]\w*=\S+ )make ([a-z]\w*)", block, flags=re.M)
    }


def exists(page: Path, name: str) -> bool:
    name = name.rstrip("/")
    if any(any(folder.glob(name)) for folder in (page.parent, ROOT)):
        return True
    return any(f"/{path}".endswith(f"/{name}") for path in FILES)


def is_module(name: str) -> bool:
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").exists() or (path / "__main__.py").exists()


def missing(page: Path, text: str) -> set[str]:
    """What the text names and the repository does not have."""
    makefile = (ROOT / "Makefile").read_text()
    return {
        *(link for link in links(text) if not (page.parent / link).exists()),
        *(name for name in source_files(text) | quoted_paths(text) if not exists(page, name)),
        *(f"python -m {name}" for name in modules(text) if not is_module(name)),
        *(f"make {name}" for name in targets(text) if not re.search(rf"^{name}:", makefile, flags=re.M)),
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_everything_that_a_page_names_exists(page: Path) -> None:
    assert missing(page, page.read_text()) == set()


@pytest.mark.parametrize(
    "text",
    [
        "[x](no/such.md)",
        "see shared/scope.py",
        "```\nno_such.py   the triggers\n```",
        "`shared/engine/`",
        "`shared/nothing`",
        "`python -m local.doctor_azure`",
        "`make nothing`",
        "```sh\nONLY=speed make nothing\n```",
    ],
)
def test_a_name_without_a_file_is_found(text: str) -> None:
    assert len(missing(ROOT / "README.md", text)) == 1


def test_other_words_are_no_paths() -> None:
    text = """`answers/run_1/answer.json`, `hr/door.md`, `.local/demo/`, `/api/runs/{id}`, `<run_id>/answer.json`,
    https://example.com/install.sh, `curl -s x`, they make nothing, `shared/{runs,documents}`, `python -m pip`"""
    assert missing(ROOT / "README.md", text) == set()


def test_names_that_exist_are_accepted() -> None:
    text = """[x](infra/README.md#parameters), `shared/engines/`, `shared/runs/*.py`, function_app.py, `poller.py`,
    `infra/scripts/postdeploy.sh`, `./infra/scripts/postdeploy.sh prove`, `python -m local.functions_host`,
    `make test`"""
    assert missing(ROOT / "README.md", text) == set()
    assert source_files(text) == {"function_app.py", "poller.py", "infra/scripts/postdeploy.sh"}
    assert quoted_paths(text) == {"shared/engines/", "shared/runs/*.py", "infra/scripts/postdeploy.sh"}
    assert modules(text) == {"local.functions_host"}
    assert targets(text) == {"test"}


def test_every_parameter_from_the_environment_is_explained() -> None:
    read = set(re.findall(r"readEnvironmentVariable\('(\w+)'", (INFRA / "main.bicepparam").read_text()))
    assert {name for name in read if f"`{name}`" not in README and f"`{name}" not in README} - {
        "AZURE_PRINCIPAL_ID"
    } == set()


def test_every_role_is_explained() -> None:
    assert [role for _, role, _ in ROLES if role not in README] == []


def az_commands(text: str) -> list[list[str]]:
    """The words of every `az` command of a page, without values."""
    blocks = re.findall(r"```sh\n(.*?)```", text, flags=re.S) + re.findall(r"`(az [^`]+)`", text)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    found = [re.split(r"(?:^|[ (\"])az ", re.sub(r"'[^']*'", "''", line))[1:] for line in lines]
    return [re.split(r"[\"|&;)]", command)[0].split() for commands in found for command in commands]


def test_every_az_command_is_one_of_the_azure_cli() -> None:
    commands = az_commands(README)
    assert len(commands) > 10
    assert [fault for command in commands for fault in undocumented(command)] == []
    assert list(undocumented(["functionapp", "keys", "show", "-g", "x"])) == ["az functionapp keys show"]
    assert list(undocumented(["functionapp", "keys", "list", "--app", "x"])) == ["az functionapp keys list --app"]


def test_every_resource_provider_of_the_templates_is_registered() -> None:
    trees = {path: tree for path, tree in Templates(INFRA).bicep.items() if not path.startswith("samples/")}
    used = {r["type"].split("/")[0] for tree in trees.values() for r in tree.get("resources", {}).values()}
    always = {"Microsoft.Authorization", "Microsoft.Resources"}
    listed = re.findall(r"for service in ([\w ]+?); do", README)[0].split()
    assert used - always <= {f"Microsoft.{name}" for name in listed}


def test_every_test_that_the_page_names_exists() -> None:
    named = re.findall(r"`(test_\w+\.py)::(test_\w+)`", README)
    assert len(named) > 30
    files: dict[str, str] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        files[path.name] = files.get(path.name, "") + path.read_text()
    assert [f"{file}::{name}" for file, name in named if f"def {name}(" not in files.get(file, "")] == []
