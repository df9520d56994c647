"""The descriptions of the API match triggers, handlers and checks, and are valid."""

import ast
import inspect
import json
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import azure.functions as func
import msgspec
import pytest

import function_app
from local.paths import ROOT
from shared.errors import AppError
from shared.http import about, assistants, collections, content, documents, hooks, reconcile, runs, threads
from shared.http import openapi as openapi_routes
from shared.http import swagger as swagger_routes
from shared.http.openapi import get_openapi, openapi, problems_of
from shared.http.questions import question_from
from shared.http.reading import body_from
from shared.http.route import Operation, answer
from shared.http.shapes.runs import QuestionBody
from shared.http.swagger import get_swagger, swagger, title_of
from shared.http.table import OPERATIONS
from shared.push.notices import EVENTS
from shared.settings import Settings
from tests.unit.http.descriptions import DOCUMENTS, URL, Json, nodes, operations
from tests.unit.world import World

HANDLERS = {
    name: handler
    for module in (
        about,
        assistants,
        collections,
        content,
        documents,
        hooks,
        openapi_routes,
        reconcile,
        runs,
        swagger_routes,
        threads,
    )
    for name, handler in vars(module).items()
    if inspect.isfunction(handler)
}
VALIDATOR = ROOT / ".local" / "openapi-tools" / "bin" / "openapi-spec-validator"
BOTH_VERSIONS = pytest.mark.parametrize("document", [DOCUMENTS["3.0"], DOCUMENTS["3.1"]], ids=["3.0", "3.1"])
SETTINGS = Settings.from_environ({"AzureWebJobsStorage": "x", "OPENAI_BASE_URL": "https://x/v1/", "OPENAI_MODEL": "m"})
OF_THE_HOST = ("401", "414")  # answers without a body, before the app sees the request
OF_THE_CALLER = {
    "BadRequest",
    "LengthRequired",
    "TooLarge",
    "WrongMediaType",
    "RangeNotSatisfiable",
    "NotFound",
    "Busy",
    "Outdated",
}


# ---- they match the app ------------------------------------------------------------------------------------------


@cache  # an app lists its functions once
def all_triggers() -> tuple[tuple[str, str, str, str], ...]:
    """Function, method, route template and authorisation of every HTTP trigger of function_app.py."""
    found = []
    for function in function_app.app.get_functions():
        trigger = json.loads(str(function))["bindings"][0]  # as the host reads it
        if trigger["type"] == "httpTrigger":
            (method,) = trigger["methods"]
            name, route, auth = function.get_function_name(), trigger["route"], trigger["authLevel"].lower()
            found.append((str(name), method, f"/{route}", auth))
    return tuple(found)


def triggers() -> tuple[tuple[str, str, str, str], ...]:
    """Those of the API; routes are without the prefix `api`."""
    return tuple(
        (name, method, route.removeprefix("/api"), auth)
        for name, method, route, auth in all_triggers()
        if route.startswith("/api/")
    )


def test_the_only_other_route_is_the_page_which_is_anonymous() -> None:
    others = [trigger for trigger in all_triggers() if not trigger[2].startswith("/api/")]
    assert others == [("get_page", "GET", "/{file?}", "anonymous")]


def test_the_table_matches_the_triggers() -> None:
    served = {(op.function or op.handler, op.method, op.route or op.path, op.auth) for op in OPERATIONS}
    assert sorted((n, m, route.replace("{*", "{"), auth) for n, m, route, auth in triggers()) == sorted(served)


def test_no_catch_all_takes_the_requests_of_another_function() -> None:
    """The host takes the first function by name, in upper case, whose template matches: literals do not go first."""
    catching = [(name, method, route.partition("{*")[0]) for name, method, route, _ in triggers() if "{*" in route]
    hidden = [
        (name, catcher)
        for name, method, route, _ in triggers()
        for catcher, same_method, start in catching
        if method == same_method
        and f"{route}/".startswith(start)
        and "{*" not in route
        and name.upper() > catcher.upper()
    ]
    assert {start for _, _, start in catching} == {"/documents/"}
    assert hidden == []


@pytest.mark.parametrize("op", OPERATIONS, ids=lambda op: op.id)
def test_every_operation_has_its_handler_and_its_parameters(op: Operation) -> None:
    source = inspect.getsource(HANDLERS[op.handler])
    in_path = {part[1:-1] for part in op.path.split("/") if part.startswith("{")}
    assert {parameter.name for parameter in op.parameters if parameter.where == "path"} == in_path
    assert all(f'"{p.name}"' in source for p in op.parameters if p.where == "query")
    assert all(f'"{p.name}"' in source for p in op.parameters if p.name == "path")
    bodies = [op.body.__name__] if isinstance(op.body, type) and issubclass(op.body, msgspec.Struct) else []
    assert re.findall(r"read_body\(services, req, (\w+)", source) == bodies


def test_every_document_can_be_named_in_the_query() -> None:
    """For clients that cannot send the slashes of a path: each route of one document also takes `?path=`."""
    of_one = {op.method: op.handler for op in OPERATIONS if op.path == "/documents/{path}"}
    assert of_one.keys() == {"GET", "PUT", "POST", "DELETE"}
    for method, path in (*((method, "/documents") for method in of_one), ("POST", "/documents/upload")):
        (op,) = (op for op in OPERATIONS if (op.method, op.path) == (method, path))
        assert "path" in {parameter.name for parameter in op.parameters if parameter.where == "query"}


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.body], ids=lambda op: op.id)
async def test_a_body_that_did_not_arrive_is_refused(op: Operation, world: World) -> None:
    """The Functions host passes on a request that is sent in chunks without its body."""
    for headers in ({"Transfer-Encoding": "chunked"}, {"transfer-encoding": "gzip, chunked"}, {"Content-Length": "7"}):
        names = {parameter.name: "a/b.md" for parameter in op.parameters if parameter.where != "header"}
        request = func.HttpRequest(
            method=op.method,
            url=f"https://app.example/api{op.path}",
            headers={"Content-Type": "application/json", **headers},
            params={name: value for name, value in names.items() if "{" + name not in op.path},
            route_params={name: value.replace("/b.md", "") for name, value in names.items() if "{" + name in op.path},
            body=b"",
        )
        response = await answer(lambda: world.app, request, HANDLERS[op.handler])
        problem = json.loads(response.get_body())
        assert (response.status_code, problem["code"]) == (411, "body_not_received"), op.id
        assert "Content-Length" in problem["detail"]
        assert "/upload" in problem["detail"]
    assert 411 in problems_of(op)
    assert [*world.blobs.names(), *world.state.names()] == []


def codes_in_the_source() -> set[str]:
    """The codes of all errors in `shared` that the caller causes."""
    found = set()
    for path in (ROOT / "shared").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in OF_THE_CALLER:
                given = [k.value.value for k in node.keywords if k.arg == "code" and isinstance(k.value, ast.Constant)]
                kinds: dict[str, type[AppError]] = vars(__import__("shared.errors", fromlist=["errors"]))
                found.add(str(given[0]) if given else kinds[node.func.id].code)
    return found


def test_every_code_is_described_and_every_described_code_is_raised() -> None:
    described = {
        code for op in OPERATIONS for status, codes in problems_of(op).items() if status < 500 for code in codes
    }
    assert described == codes_in_the_source()


@pytest.mark.parametrize(
    ("field", "limit", "made", "code"),
    [
        ("files", "maxItems", lambda n: [f"a/{i}.csv" for i in range(n)], "too_many_files"),
        (
            "tools",
            "maxItems",
            lambda n: [{"type": "function", "name": f"tool_{i}"} for i in range(n)],
            "invalid_tools",
        ),
        ("metadata", "maxProperties", lambda n: {f"k{i}": "v" for i in range(n)}, "invalid_metadata"),
        ("max_seconds", "maximum", lambda n: n, "invalid_body"),
        ("collection", "maxLength", lambda n: "c" * n, "invalid_collection"),
    ],
)
def test_a_described_limit_is_the_checked_limit(field: str, limit: str, made: Any, code: str) -> None:
    schema = openapi(URL)["components"]["schemas"]["QuestionBody"]["properties"][field]
    (highest,) = {node[limit] for node in nodes(schema) if limit in node}

    def take(n: int) -> None:
        body = msgspec.json.encode({"question": "Why?", field: made(n)})
        headers = {"content-type": "application/json"}
        question_from(body_from(body, headers, QuestionBody, max_bytes=65_536), SETTINGS)

    take(highest)
    with pytest.raises(AppError) as caught:
        take(highest + 1)
    assert caught.value.code == code


# ---- all are valid ----------------------------------------------------------------------------------------------


@pytest.mark.tools
def test_all_documents_are_valid(tmp_path: Path) -> None:
    assert VALIDATOR.exists(), "`make setup` installs what this test needs"
    files = [tmp_path / version for version in DOCUMENTS]
    for file in files:
        file.write_text(json.dumps(DOCUMENTS[file.name]))
    result = subprocess.run([VALIDATOR, *files], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
    assert result.stdout.count("OK") == 3


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_every_reference_has_a_target(document: Json) -> None:
    for node in nodes(document):
        if "$ref" in node:
            target: Any = document
            for part in node["$ref"].removeprefix("#/").split("/"):
                target = target[part]
            assert target


def test_the_server_is_the_host_of_the_request() -> None:
    assert openapi(URL)["servers"] == [{"url": "https://app.example/api"}]
    asked = swagger("http://127.0.0.1:7071/api/swagger.json/")
    assert (asked["host"], asked["basePath"], asked["schemes"]) == ("127.0.0.1:7071", "/api", ["http"])


def test_over_http_without_any_setting() -> None:
    for handler, version in ((get_openapi, "openapi"), (get_swagger, "swagger")):
        response = handler(func.HttpRequest(method="GET", url=URL, body=b""))
        assert (response.status_code, response.mimetype) == (200, "application/json")
        assert version in json.loads(response.get_body())


# ---- OpenAPI 3.0 and 3.1 -----------------------------------------------------------------------------------------


def get(query: str) -> tuple[func.HttpResponse, Json]:
    """The answer to `GET /api/openapi.json` with this query."""
    params = dict(pair.split("=") for pair in query.split("&") if pair)
    request = func.HttpRequest(
        method="GET", url=f"https://app.example/api/openapi.json?{query}", params=params, body=b""
    )
    response = get_openapi(request)
    return response, json.loads(response.get_body())


@pytest.mark.parametrize(
    ("query", "version"),
    [("", "3.0.4"), ("version=", "3.0.4"), ("version=3.0", "3.0.4"), ("version=3.1", "3.1.0"), ("code=k", "3.0.4")],
)
def test_the_version_is_3_0_unless_3_1_is_asked_for(query: str, version: str) -> None:
    response, document = get(query)
    assert (response.status_code, document["openapi"]) == (200, version)
    assert ("webhooks" in document) is (version == "3.1.0")
    assert document["servers"] == [{"url": "https://app.example/api"}]


@pytest.mark.parametrize("version", ["2.0", "3", "3.0.4", "3.1.0", "3.2", "4.0", "latest", "3.0,3.1", " 3.0"])
def test_another_version_is_refused(version: str) -> None:
    response, document = get(f"version={version}")
    assert (response.status_code, response.mimetype) == (400, "application/problem+json")
    assert document["code"] == "unknown_version"
    assert all(name in document["detail"] for name in ("version=3.0", "version=3.1", "swagger.json"))


@BOTH_VERSIONS
def test_the_version_is_a_described_parameter(document: Json) -> None:
    operation = document["paths"]["/openapi.json"]["get"]
    (parameter,) = operation["parameters"]
    assert (parameter["name"], parameter["required"]) == ("version", False)
    assert parameter["schema"]["enum"] == ["3.0", "3.1"]
    assert "unknown_version" in operation["responses"]["400"]["description"]


def test_both_versions_describe_the_same_operations() -> None:
    old, new = ({k: v for k, v in DOCUMENTS[version].items() if k != "webhooks"} for version in ("3.0", "3.1"))
    assert old.keys() == new.keys()
    assert old["components"]["schemas"].keys() == new["components"]["schemas"].keys()
    described = [
        [
            (m, path, op["operationId"], list(op["responses"]), len(op["parameters"]))
            for m, path, op in operations(document)
        ]
        for document in (old, new)
    ]
    assert described[0] == described[1]


def fields(document: Json) -> Iterator[tuple[str, Json]]:
    """Name and schema of each field and parameter; of a union with null, the schema of the other option."""
    for node in nodes(document["components"]["schemas"]):
        yield from ((name, schema) for name, schema in node.get("properties", {}).items())
    for _, _, operation in operations(document):
        yield from ((parameter["name"], parameter["schema"]) for parameter in operation["parameters"])


@BOTH_VERSIONS
def test_times_ids_and_numbers_have_a_format(document: Json) -> None:
    seen = set()
    for name, described in fields(document):
        for schema in (described, *described.get("anyOf", ())):
            type, format = schema.get("type"), schema.get("format")
            is_time = re.search(r"_at$|^timestamp$|^(createdTime|lastUpdatedTime)$", name)
            is_id = re.search(r"^id$|_id$|^instanceId$", name)
            if type == "string":
                assert format == ("date-time" if is_time else "id" if is_id else None), name
            if type == "integer":
                assert format == "int64" or (format == "int32" and schema["maximum"] < 2**31), name
            if type == "number":
                assert format == "double", name
            seen |= {(name, format)}
    assert {("size_bytes", "int64"), ("finished_at", "date-time"), ("thread_id", "id"), ("limit", "int32")} <= seen


def test_the_connector_has_no_new_formats(connector: Json) -> None:
    assert {node["format"] for node in nodes(connector) if isinstance(node.get("format"), str)} <= {"binary", "uri"}


def test_a_path_with_slashes_has_a_form_as_a_query() -> None:
    """Generated clients encode the slash, and Microsoft's host does not decode it."""
    names = set(re.findall(r"{\*(\w+)}", (ROOT / "function_app.py").read_text()))
    paths = DOCUMENTS["3.0"]["paths"]
    assert names == {"path"}
    for method, path, operation in operations(DOCUMENTS["3.0"]):
        for name in (name for name in names if f"{{{name}}}" in path):
            twin = paths[path.replace(f"/{{{name}}}", "")][method.lower()]
            assert (name, "query") in {(p["name"], p["in"]) for p in twin["parameters"]}, operation["operationId"]


@BOTH_VERSIONS
def test_every_answer_is_described(document: Json) -> None:
    for method, path, operation in operations(document):
        for status, response in operation["responses"].items():
            bodiless = method == "HEAD" or status in ("204", "304", *OF_THE_HOST)
            assert bodiless or response["content"], (method, path, status)
            if int(status) >= 400 and status not in OF_THE_HOST:
                assert list(response["content"]) == ["application/problem+json"]


@BOTH_VERSIONS
def test_operations_without_a_key(document: Json) -> None:
    keyless = {operation["operationId"] for _, _, operation in operations(document) if not operation["security"]}
    assert keyless == {"ReceiveServiceEvent", "GetHealth", "GetOpenapi", "GetSwagger"}


def test_all_notifications_are_described() -> None:
    document = DOCUMENTS["3.1"]
    told = {
        name: webhook["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for name, webhook in document["webhooks"].items()
    }
    assert told == {"runFinished": "RunFinished", "documentChanged": "DocumentChanged"}
    types = {
        event
        for name in told.values()
        for event in document["components"]["schemas"][name]["properties"]["type"]["enum"]
    }
    assert types == set(EVENTS)
    for paths in (document["paths"], DOCUMENTS["3.0"]["paths"]):
        assert paths["/hooks"]["post"]["callbacks"].keys() == told.keys()
        assert paths["/runs"]["post"]["callbacks"].keys() == {"runFinished"}


@pytest.mark.parametrize("op", [op for op in OPERATIONS if op.example is not None], ids=lambda op: op.id)
def test_every_example_is_a_valid_body(op: Operation) -> None:
    headers = {"content-type": "application/json"}
    assert body_from(msgspec.json.encode(op.example), headers, op.body, max_bytes=10_000)


# ---- the connector -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def connector() -> Json:
    return swagger(URL)


def test_the_connector_is_small_and_uses_only_2_0(connector: Json) -> None:
    assert len(json.dumps(connector)) < 1_000_000
    for node in nodes(connector):
        assert not {"anyOf", "oneOf", "allOf", "const", "$defs", "examples", "prefixItems"} & node.keys()
        assert not isinstance(node.get("type"), list)
        assert "$ref" not in node or len(node) == 1  # 2.0 ignores keywords beside a reference


def test_everything_shown_to_a_maker_has_a_title(connector: Json) -> None:
    for _, _, operation in operations(connector):
        assert operation["summary"]
        assert operation["description"].endswith(".")
        assert all(parameter["x-ms-summary"] for parameter in operation["parameters"])
    for node in nodes(connector):
        for schema in node.get("properties", {}).values() if node.get("type") == "object" else ():
            assert schema["x-ms-summary"]


def test_operation_ids_are_unique(connector: Json) -> None:
    for document in (connector, DOCUMENTS["3.0"], DOCUMENTS["3.1"]):
        ids = [node["operationId"] for node in nodes(document["paths"]) if "responses" in node]
        assert len(ids) == len(set(ids))


def test_hidden_required_properties_have_a_default(connector: Json) -> None:
    for node in nodes(connector):
        for name, schema in node.get("properties", {}).items() if node.get("type") == "object" else ():
            if schema.get("x-ms-visibility") == "internal" and name in node.get("required", ()):
                assert "default" in schema or schema.get("x-ms-notification-url")


def test_the_connector_uses_the_function_key(connector: Json) -> None:
    assert connector["securityDefinitions"] == {
        "functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"}
    }
    assert connector["security"] == [{"functionKey": []}]


def test_the_trigger_has_the_form_that_power_automate_needs(connector: Json) -> None:
    hooks = connector["paths"]["/hooks"]
    assert hooks["post"]["operationId"] == "RunFinished"
    assert hooks["post"]["x-ms-trigger"] == "single"
    assert "Location" in hooks["post"]["responses"]["201"]["headers"]
    callback = connector["definitions"]["HookBody"]["properties"]["callback_url"]
    assert (callback["x-ms-notification-url"], callback["x-ms-visibility"]) == (True, "internal")
    assert hooks["x-ms-notification-content"]["schema"] == {"$ref": "#/definitions/RunFinished"}
    assert connector["paths"]["/hooks/{id}"]["delete"]["x-ms-visibility"] == "internal"


def test_nullable_properties_are_marked(connector: Json) -> None:
    ended = connector["definitions"]["RunEnded"]["properties"]
    assert ended["error"]["x-nullable"] is True
    assert ended["error"]["properties"]["code"]["x-ms-summary"] == "Code"
    assert "x-nullable" not in ended["status"]


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("createdTime", "Created Time"),
        ("statusQueryGetUri", "Status Query Get URI"),
        ("thread_id", "Thread ID"),
        ("Idempotency-Key", "Idempotency Key"),
        ("n", "N"),
    ],
)
def test_titles(name: str, title: str) -> None:
    assert title_of(name) == title
