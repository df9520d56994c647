"""Runs, threads, assistants and documents over HTTP, on any host: listed, read, replaced, deleted."""

from tests.acceptance import storage
from tests.acceptance.api import Api


def test_runs_are_listed_newest_first(api: Api) -> None:
    first = api.ask("One?")
    api.until(first, "completed")
    thread_id = first["thread_id"]
    ids = [first["id"]]
    for question in ("Two?", "Three?"):
        run = api.ask(question, thread_id=thread_id)
        api.until(run, "completed")
        ids.insert(0, run["id"])
    page = api("GET", f"/runs?thread_id={thread_id}&status=completed&limit=100", 200)
    assert [run["id"] for run in page["runs"]] == ids
    assert api("GET", f"/runs?thread_id={thread_id}&status=failed", 200)["runs"] == []
    seen: list[str] = []
    cursor = ""
    while True:
        page = api("GET", f"/runs?limit=2{cursor}", 200)
        assert len(page["runs"]) <= 2
        seen += [run["id"] for run in page["runs"]]
        if not page["cursor"]:
            break
        cursor = f"&cursor={page['cursor']}"
    assert seen == sorted(set(seen))
    assert set(ids) <= set(seen)
    for query, code in (("limit=0", "invalid_limit"), ("status=odd", "invalid_status"), ("cursor=", "invalid_cursor")):
        assert api.problem("GET", f"/runs?{query}", 400) == code
    assert api.http.get("/runs?cursor=garbage").status_code < 500


def test_a_thread_from_creation_to_deletion(api: Api) -> None:
    thread = api("POST", "/threads", 201)
    where = f"/threads/{thread['id']}"
    assert api("GET", where, 200)["active_run_id"] is None
    for question in ("First?", "Second?"):
        api.until(api.ask(question, thread_id=thread["id"]), "completed")
    messages = api("GET", f"{where}/messages", 200)["messages"]
    assert [(m["role"], m["text"]) for m in messages if m["role"] == "user"] == [
        ("user", "First?"),
        ("user", "Second?"),
    ]
    assert [m["role"] for m in messages] == ["user", "assistant"] * 2
    assert all(message["text"] for message in messages)
    api("DELETE", where, 204)
    assert api.problem("GET", where, 404) == "thread_not_found"
    assert api.problem("GET", f"/runs/{messages[0]['run_id']}", 404) == "run_not_found"
    assert api.problem("POST", "/runs", 404, {"question": "Third?", "thread_id": thread["id"]}) == "thread_not_found"


def test_an_assistant_and_its_versions(api: Api) -> None:
    where = "/assistants/terse"
    first = api("PUT", where, 200, {"instructions": "Be terse.", "code_interpreter": False})
    run = api.until(api.ask("Who are you?", assistant="terse"), "completed")
    second = api("PUT", where, 200, {"instructions": "Be brief."})
    assert second["version"] == first["version"] + 1
    assert run["assistant"] == {"name": "terse", "version": first["version"]}
    assert api("GET", where, 200)["instructions"] == "Be brief."
    assert {"default", "terse"} <= {found["name"] for found in api("GET", "/assistants", 200)["assistants"]}
    api("DELETE", where, 204)
    assert api.problem("GET", where, 404) == "assistant_not_found"
    assert api.problem("POST", "/runs", 404, {"question": "Hi", "assistant": "terse"}) == "assistant_not_found"
    assert api("PUT", where, 200, {})["version"] == second["version"] + 1
    assert api.problem("PUT", where, 400, {"functions": ["no_such"]}) == "unknown_function"


def test_a_document_is_uploaded_over_http(api: Api) -> None:
    path = "put/handbook/door code.md"
    content = b"# Door\n\nThe code of the back door is 7315.\n"
    put = api.http.put(f"/documents/{path}", content=content, headers={"Content-Type": "text/markdown"})
    assert (put.status_code, put.json()["path"], put.json()["size_bytes"]) == (201, path, len(content))

    def indexed() -> bool:
        found = api("GET", "/documents?collection=put", 200)["documents"]
        return [d["status"] for d in found if d["path"] == path and d["etag"] == put.json()["etag"]] == ["indexed"]

    storage.wait_until(indexed)
    run = api.until(api.ask("What is the code of the back door?", collection="put", files=[]), "completed")
    assert "7315" in run["answer"]
    assert {citation["document"] for citation in run["citations"]} == {path}
    for bad in ("put/..%2F..%2Fx.md", "put/a%00b.md"):
        assert 400 <= api.http.put(f"/documents/{bad}", content=b"x").status_code < 500
