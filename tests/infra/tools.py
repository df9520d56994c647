"""Runs the tools that check infra/, from the environment that make.py installs in `.local/infra-tools`."""

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
    """Run one of the tools. Its environment has no settings or credentials that it could use for network access."""
    program = BIN / command[0]
    assert program.exists(), "`make setup` installs the tools."
    environ = {"PATH": f"{BIN}:/usr/bin:/bin", "LOG_LEVEL": "ERROR", "HOME": "/nonexistent", "NO_COLOR": "1"}
    return subprocess.run(
        [program, *command[1:]], capture_output=True, text=True, check=False, cwd=cwd, env=environ, timeout=300
    )


def read_yaml(text: str) -> Json:
    """Parse a YAML document with the parser of the tools."""
    result = run("python", "-c", "import json, sys, yaml; print(json.dumps(yaml.safe_load(sys.argv[1])))", text)
    content: Json = json.loads(result.stdout)
    return content


_parsed: dict[tuple[str, str], Json] = {}  # (suffix, text) -> syntax tree; a parse takes most of a test's time


class NotBicep(Exception):
    """A file that cannot be parsed. The message has the place."""


@dataclass(frozen=True)
class Templates:
    """The folder infra/, or a copy with an inserted fault."""

    folder: Path

    @cached_property
    def trees(self) -> dict[str, Json]:
        """Path in the folder -> syntax tree of pycep. A tree must not be changed: other copies of the file share it."""
        files = sorted([*self.folder.rglob("*.bicep"), *self.folder.rglob("*.bicepparam")])
        texts = {path: (path.suffix, path.read_text()) for path in files}
        if new := [path for path, text in texts.items() if text not in _parsed]:
            result = run("python", Path(__file__).with_name("parse_bicep.py"), *new)
            if result.returncode:
                raise NotBicep(result.stderr)
            _parsed.update({texts[path]: tree for path, tree in zip(new, json.loads(result.stdout), strict=True)})
        return {str(path.relative_to(self.folder)): _parsed[text] for path, text in texts.items()}

    @property
    def bicep(self) -> dict[str, Json]:
        """The syntax trees of the templates, without the parameter file."""
        return {path: tree for path, tree in self.trees.items() if path.endswith(".bicep")}

    def text(self, path: str) -> str:
        return (self.folder / path).read_text()

    def json(self, path: str) -> Json:
        content: Json = json.loads(self.text(path))
        return content

    def resources(self, type: str) -> list[tuple[str, str, Json]]:
        """(path, symbol, body) of all resources of a type that the templates create, including those in loops."""
        found = []
        for path, tree in self.bicep.items():
            for symbol, resource in tree.get("resources", {}).items():
                if resource["type"] == type and not resource["existing"]:
                    found.append((path, symbol, body(resource)))
        return found


def body(declared: Json) -> Json:
    """The content of the braces of a resource or module, also after an `if` or a `for`."""
    config: Json = declared["config"]
    return config["config"] if "condition" in config or "loop_type" in config else config
