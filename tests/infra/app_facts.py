"""Facts read from the app's code, to compare with the templates: its triggers, settings and log events."""

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from local.paths import ROOT
from shared import telemetry
from shared.http.access import auth_level
from shared.settings import STORAGE_CONNECTION, Settings

LIST_BINDINGS = """
import json, function_app
print(json.dumps({f.get_function_name(): [json.loads(b) for b in f.get_raw_bindings()]
                  for f in function_app.app.get_functions()}))
"""

# Settings that the app reads and that must not be set in Azure: keys, since Azure uses identities, and what the
# platform says of itself.
NOT_IN_AZURE = {STORAGE_CONNECTION, "OPENAI_API_KEY", f"{STORAGE_CONNECTION}__accountName", "WEBSITE_AUTH_ENABLED"}


@cache
def triggers() -> dict[str, dict[str, Any]]:
    """Function name -> its trigger binding, as the Functions worker reports it to the host."""
    result = subprocess.run(
        [sys.executable, "-c", LIST_BINDINGS], cwd=ROOT, capture_output=True, text=True, check=True, timeout=600
    )
    functions = json.loads(result.stdout)
    return {name: bindings[0] for name, bindings in functions.items()}


class Recorder(Mapping[str, str]):
    """An environment that records the names that are read."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self.values_, self.asked = values, set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.values_[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.values_)

    def __len__(self) -> int:
        return len(self.values_)


IN_AZURE = {
    f"{STORAGE_CONNECTION}__blobServiceUri": "https://a.blob.core.windows.net/",
    f"{STORAGE_CONNECTION}__queueServiceUri": "https://a.queue.core.windows.net/",
    "OPENAI_BASE_URL": "https://a.openai.azure.com/openai/v1/",
    "OPENAI_MODEL": "gpt-4.1-mini",
}


def settings_read() -> set[str]:
    """The names of all settings that the app reads."""
    recorder = Recorder(IN_AZURE)
    Settings.from_environ(recorder)
    auth_level(recorder)
    read = recorder.asked | {telemetry.SETTING}
    for path in [ROOT / "function_app.py", *(ROOT / "shared").rglob("*.py")]:
        read |= set(_environ_reads(ast.parse(path.read_text())))
    return read


def _environ_reads(tree: ast.AST) -> Iterator[str]:
    """`os.environ["X"]`, `os.environ.get("X")` and `os.getenv("X")`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call | ast.Subscript):
            source = ast.unparse(node.func if isinstance(node, ast.Call) else node.value)
            reads = source in ("os.environ", "os.environ.get", "os.getenv")
            given = node.args[:1] if isinstance(node, ast.Call) else [node.slice]
            if reads:
                yield from (
                    each.value for each in given if isinstance(each, ast.Constant) and isinstance(each.value, str)
                )


def log_events() -> set[str]:
    """The event names in calls of `event()`, such as `document.%s`: `%s` stands for what is filled in."""
    events = set()
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "event":
                name = node.args[2]
                pieces = name.values if isinstance(name, ast.JoinedStr) else [name]
                events.add("".join(str(p.value) if isinstance(p, ast.Constant) else "%s" for p in pieces))
    return events


def metrics() -> set[str]:
    """The names of the metrics that the app sends."""
    names = set()
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("count", "measure"):
                named = node.args and isinstance(node.args[0], ast.Constant) and str(node.args[0].value)
                if named and re.fullmatch(r"[a-z]+\.[a-z_]+", named):
                    names.add(named)
    return names
