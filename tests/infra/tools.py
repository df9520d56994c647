"""The commands that check infra/, in an environment of their own: `.local/infra-tools/installed` in the Makefile."""

import json
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from local.paths import ROOT

INFRA = ROOT / "infra"
BIN = ROOT / ".local" / "infra-tools" / "bin"

Json = dict[str, Any]


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run one of the tools, with nothing that could send it to the internet."""
    program = BIN / command[0]
    assert program.exists(), "`make test` installs what this test needs; or `make .local/infra-tools/installed`"
    environ = {"PATH": f"{BIN}:/usr/bin:/bin", "LOG_LEVEL": "ERROR", "HOME": "/nonexistent", "NO_COLOR": "1"}
    return subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, check=False, cwd=cwd, env=environ, timeout=300
    )


def read_yaml(text: str) -> Json:
    """A YAML document, read with the tools' parser."""
    result = run("python", "-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))", text)
    content: Json = json.loads(result.stdout)
    return content


class NotBicep(Exception):
    """A file that does not parse; the message says where."""


@dataclass(frozen=True)
class Templates:
    """The infra folder, or a copy of it with a fault planted."""

    folder: Path

    @cached_property
    def trees(self) -> dict[str, Json]:
        """Path in the folder -> what pycep makes of the file."""
        result = run("python", Path(__file__).with_name("parse_bicep.py"), self.folder)
        if result.returncode:
            raise NotBicep(result.stderr)
        trees: dict[str, Json] = json.loads(result.stdout)
        return trees

    @property
    def bicep(self) -> dict[str, Json]:
        """Only the templates."""
        return {path: tree for path, tree in self.trees.items() if path.endswith(".bicep")}

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()

    def json(self, path: str) -> Json:
        content: Json = json.loads(self.text(path))
        return content

    def resources(self, type: str) -> list[tuple[str, str, Json]]:
        """(path, symbol, properties) of every resource of a type that the templates make; loops are looked into."""
        found = []
        for path, tree in self.bicep.items():
            for symbol, resource in tree.get("resources", {}).items():
                if resource["type"] == type and not resource["existing"]:
                    found.append((path, symbol, body(resource)))
        return found


def body(declared: Json) -> Json:
    """What is between the braces of a resource or module, whether or not an `if` or a `for` stands before them."""
    config: Json = declared["config"]
    return config["config"] if "condition" in config or "loop_type" in config else config
