"""Loading and checking an app, with the real worker's rules."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from local.functions_host import AppRefused, HostError
from local.functions_host.functions.loading import loaded_app
from local.functions_host.settings import HostSettings
from local.paths import ROOT
from tests.local.functions_host.apps import calls, client, host, until, write_app

OUTPUT = "@app.queue_output('out', 'q', 'S')\n@app.route()\n"
QUEUE = "@app.queue_trigger('msg', 'q', 'S')\n"
GOOD = """
    @app.route(route="good", auth_level="ANONYMOUS")
    def good(req: func.HttpRequest) -> str:
        return "good"
"""


# Refused by the real worker and by this host, with the words in which this host says why.
BAD = {
    "input": ("@app.route()\ndef bad(req: int) -> str: return ''", 'does not match its Python annotation "int"'),
    "return": ("@app.route()\ndef bad(req: func.HttpRequest) -> dict: return {}", "return annotation"),
    "return None": ("@app.route()\ndef bad(req: func.HttpRequest) -> None: pass", "return annotation"),
    "unbound": ("@app.route()\ndef bad(req: func.HttpRequest, more: str) -> str: ...", "{'more'}"),
    "renamed": ("@app.route()\ndef bad(request: func.HttpRequest) -> str: ...", "declared in Python"),
    "context": ("@app.route()\ndef bad(req: func.HttpRequest, context: int) -> str: ...", '"context"'),
    "Out[list]": (OUTPUT + "def bad(req: func.HttpRequest, out: func.Out[list]) -> str: ...", "annotation"),
    "out without Out": (OUTPUT + "def bad(req: func.HttpRequest, out: str) -> str: ...", 'the "out" direction'),
    "in with Out": ("@app.route()\ndef bad(req: func.Out[str]) -> str: ...", 'the "in" direction'),
    "queue of int": (QUEUE + "def bad(msg: int) -> None: ...", 'does not match its Python annotation "int"'),
    "return Out": ("@app.route()\ndef bad(req: func.HttpRequest) -> func.Out[str]: ...", "return annotation"),
    "import error": ("1 / 0", "ZeroDivisionError"),
    "missing module": ("import nothing_of_this_name", "ModuleNotFoundError"),
    "two apps": ("other = func.FunctionApp()", "More than one FunctionApp"),
    "same name": ("@app.route()\ndef good(req: func.HttpRequest) -> str: ...", "good"),
}
# Refused by this host alone: the real worker leaves these to the .NET host and its extensions.
BAD_FOR_THE_HOST = {
    "other trigger": (
        "@app.cosmos_db_trigger('docs', 'a', 'b', 'c')\ndef bad(docs: func.DocumentList) -> None: ...",
        "no input binding 'cosmosDBTrigger'",
    ),
    "route": ("@app.route(route='a/{b:c}')\ndef bad(req: func.HttpRequest) -> str: ...", "route"),
}
# Accepted by both, with the same bindings.
FINE = {
    "list of text": OUTPUT + "def fine(req: func.HttpRequest, out: func.Out[typing.List[str]]) -> str: ...",
    "queue message": OUTPUT + "def fine(req: func.HttpRequest, out: func.Out[func.QueueMessage]): ...",
    "text": QUEUE + "def fine(msg: str): ...",
    "no annotation": QUEUE + "def fine(msg): ...",
    "context": QUEUE + "async def fine(msg: func.QueueMessage, context: func.Context) -> None: ...",
    "returned": "@app.queue_output('$return', 'q', 'S')\n" + QUEUE + "def fine(msg: bytes) -> str: ...",
    "stream": "@app.blob_trigger('blob', 'c/{n}', 'S', source='EventGrid')\ndef fine(blob: func.InputStream): ...",
    "client": "import azurefunctions.extensions.bindings.blob as bindings\n"
    "@app.blob_trigger('blob', 'c/{n}', 'S', source=func.BlobSource.EVENT_GRID)\n"
    "def fine(blob: bindings.BlobClient): ...",
    "event": "@app.event_grid_trigger('event')\ndef fine(event: func.EventGridEvent) -> None: ...",
}
RUNTIME = ROOT / ".local/runtime"
INDEX_BY_RUNTIME = """
import json, logging, sys, typing
from pathlib import Path
from types import SimpleNamespace

logging.disable()
runtime, *folders = sys.argv[1:]
sys.path.insert(0, runtime)
from azure_functions_runtime import functions, loader
from azure_functions_runtime.bindings import meta

meta.load_binding_registry()
info = SimpleNamespace(inout=2, out=1, undefined=0)
info.__dict__["in"] = 0
protos = SimpleNamespace(BindingInfo=info)
answers = []
for folder in folders:
    sys.path.insert(0, folder)
    sys.modules.pop("function_app", None)
    meta._DEFERRED_BINDING_REGISTRY_LOADED = False
    registry, found = functions.Registry(), {}
    try:
        for function in loader.index_function_app(Path(folder) / "function_app.py"):
            indexed = registry.add_indexed_function(function, protos)
            bindings = map(json.loads, loader.get_fx_raw_bindings(function, indexed)[0])
            found[indexed.name] = {binding["name"]: binding for binding in bindings}
        answers.append(found)
    except Exception as exc:
        answers.append(None)
    sys.path.remove(folder)
print(json.dumps(answers))
"""


def app_with(folder: Path, source: str) -> Path:
    """A valid app with more source appended."""
    write_app(folder, GOOD)
    with (folder / "function_app.py").open("a") as file:
        file.write("\nimport typing\n" + source)
    return folder


@pytest.mark.parametrize(
    ("source", "reason"), [*BAD.values(), *BAD_FOR_THE_HOST.values()], ids=[*BAD, *BAD_FOR_THE_HOST]
)
async def test_one_wrong_function_rejects_the_whole_app(tmp_path: Path, source: str, reason: str) -> None:
    with pytest.raises(AppRefused) as refusal:
        async with host(app_with(tmp_path / "app", source)):
            pass
    assert reason in str(refusal.value)


@pytest.mark.skipif(not RUNTIME.is_dir(), reason="Microsoft's runtime is not installed (`make test` does)")
def test_microsofts_runtime_accepts_and_rejects_the_same_apps(tmp_path: Path) -> None:
    """The real worker's code indexes every app of the tables above; the bindings must be equal."""
    sources = {name: source for name, (source, _) in BAD.items()} | {f"fine {name}": s for name, s in FINE.items()}
    folders = [app_with(tmp_path / f"app{number}", source) for number, source in enumerate(sources.values())]
    command = [sys.executable, "-c", INDEX_BY_RUNTIME, str(RUNTIME), *map(str, folders)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    theirs = dict(zip(sources, json.loads(done.stdout.splitlines()[-1]), strict=True))
    assert theirs == {name: ours(folder) for name, folder in zip(sources, folders, strict=True)}
    assert [name for name, found in theirs.items() if found] == [name for name in sources if name.startswith("fine ")]


def ours(folder: Path) -> dict[str, dict[str, object]] | None:
    """The index of an app: function -> parameter -> binding; None if this host rejects the app."""
    try:
        with loaded_app(folder, HostSettings(values={}, host_id="host")) as functions:
            return {
                f.name: {b.name: b.options for b in (f.trigger, *f.inputs, *f.outputs, f.returns) if b}
                for f in functions
            }
    except AppRefused:
        return None


async def test_a_missing_file_and_a_file_without_an_app_are_rejected(tmp_path: Path) -> None:
    with pytest.raises(AppRefused, match=r"There is no function_app\.py"):
        async with host(tmp_path):
            pass
    (tmp_path / "function_app.py").write_text("x = 1")
    with pytest.raises(AppRefused, match="Could not find top level function app instances"):
        async with host(tmp_path):
            pass


async def test_blueprints_and_neighbouring_modules_are_loaded(tmp_path: Path) -> None:
    """They are unloaded at the end: the next app gets its own module of the same name."""
    for answer in ("one", "two"):
        folder = write_app(tmp_path / answer, "from pages import bp\napp.register_functions(bp)")
        (folder / "pages.py").write_text(
            "import azure.functions as func\nbp = func.Blueprint()\n"
            "@bp.route(route='page', auth_level='ANONYMOUS')\n"
            f"def page(req: func.HttpRequest) -> str:\n    return '{answer}'\n"
        )
        async with host(folder) as running, client(running) as http:
            assert (await http.get("/api/page")).text == answer


async def test_functions_are_ordered_by_name(tmp_path: Path) -> None:
    """The case does not matter, and "_" comes after the letters."""
    names = ["c", "a_b", "ac", "aB"]
    source = "".join(f"\n    @app.route()\n    def {name}(req: func.HttpRequest) -> str: ..." for name in names)
    async with host(write_app(tmp_path / "app", source)) as running:
        assert [function.name for function in running.functions] == ["aB", "ac", "a_b", "c"]


async def test_annotations_may_be_strings(tmp_path: Path) -> None:
    header = "from __future__ import annotations\nimport azure.functions as func\napp = func.FunctionApp()\n"
    async with host(write_app(tmp_path / "app", GOOD, header=header)) as running, client(running) as http:
        assert (await http.get("/api/good")).text == "good"


async def test_local_settings_become_the_environment_and_variables_take_precedence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FROM_FILE", raising=False)
    folder = write_app(tmp_path / "app", "import os\ncalls.append((os.environ['FROM_FILE'], os.environ['FROM_BOTH']))")
    with (folder / "function_app.py").open("a") as file:
        file.write("\n@app.route(route='%FROM_BOTH%')\ndef f(req: func.HttpRequest) -> str: return 'f'\n")
    (folder / "local.settings.json").write_text(json.dumps({"Values": {"FROM_FILE": "file", "FROM_BOTH": "file"}}))
    async with host(folder, environ={"FROM_BOTH": "environment"}) as running, client(running) as http:
        assert calls() == [("file", "environment")]
        assert (await http.get("/api/environment")).text == "f"
    assert "FROM_FILE" not in os.environ


# Each disables its own function, in the real host and in this one; with the words of the log.
BAD_BINDINGS = {
    "setting": (QUEUE.replace("'q'", "'%NO_SUCH%'") + "def bad(msg: str) -> None: ...", "NO_SUCH"),
    "connection": ("@app.queue_trigger('msg', 'queue', 'Elsewhere')\ndef bad(msg: str) -> None: ...", "Elsewhere"),
    "of an output": (
        "@app.route()\n@app.blob_output('out', 'a/b', 'Elsewhere')\n"
        "def bad(req: func.HttpRequest, out: func.Out[str]) -> str: ...",
        "Elsewhere",
    ),
    "queue name": ("@app.queue_trigger('msg', 'a_b', 'Here')\ndef bad(msg: str) -> None: ...", "a_b"),
    "cron": ("@app.timer_trigger('t', '0 99 * * * *')\ndef bad(t: func.TimerRequest) -> None: ...", "schedule"),
}


@pytest.mark.parametrize(("source", "reason"), [*BAD_BINDINGS.values()], ids=[*BAD_BINDINGS])
async def test_a_binding_that_cannot_work_disables_only_its_function(
    tmp_path: Path, source: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = app_with(tmp_path / "app", source)
    storage = "UseDevelopmentStorage=true"
    async with host(folder, environ={"S": storage, "Here": storage}) as running, client(running) as http:
        assert [function.name for function in running.functions] == ["good"]
        assert (await http.get("/api/good")).text == "good"
    [record] = [record for record in caplog.records if "The 'bad' function is in error" in record.message]
    assert reason in record.message


async def test_as_azure_a_broken_app_has_no_function_and_a_bad_route_is_an_error_for_all(tmp_path: Path) -> None:
    """Otherwise, both are refused: see the tables above."""
    broken = app_with(tmp_path / "broken", "1 / 0")
    async with host(broken, as_azure=True) as running, client(running) as http:
        assert (await http.get("/api/good")).status_code == 404
        assert (await http.get("/")).status_code == 200
    bad_route = app_with(tmp_path / "route", BAD_FOR_THE_HOST["route"][0])
    async with host(bad_route, as_azure=True) as running, client(running) as http:
        assert (await http.get("/api/good")).status_code == 503
        assert (await http.get("/")).status_code == 503


@pytest.mark.parametrize("setting", ["AzureWebJobs.good.Disabled", "AzureWebJobs_good_Disabled"])
async def test_a_disabled_function_does_not_run(tmp_path: Path, setting: str) -> None:
    folder = write_app(tmp_path / "app", GOOD)
    async with host(folder, environ={setting: "true"}) as running, client(running) as http:
        assert (await http.get("/api/good")).status_code == 404
    async with host(folder, environ={setting: "false"}) as running, client(running) as http:
        assert (await http.get("/api/good")).status_code == 200


@pytest.mark.parametrize("queues", [{"batchSize": 33}, {"maxPollingInterval": "2 s"}])
async def test_a_wrong_host_json_is_rejected(tmp_path: Path, queues: dict[str, object]) -> None:
    folder = write_app(tmp_path / "app", GOOD, host_json={"extensions": {"queues": queues}})
    with pytest.raises(HostError, match=r"host\.json"):
        host(folder)


async def test_a_return_value_without_a_binding_fails(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = write_app(
        tmp_path / "app", "@app.timer_trigger('t', '0 0 0 1 1 *', run_on_startup=True)\ndef f(t): return 'something'"
    )
    async with host(folder):
        await until(lambda: "Executed 'Functions.f' (Failed" in caplog.text)
    assert "without a $return binding" in caplog.text
