"""Connects Event Grid with the deployed app, and tests the deployment. Uses only Python's standard library.

    postdeploy.py            connect, then prove
    postdeploy.py connect    wait for the app and its key, then create the Event Grid subscription for BlobCreated
    postdeploy.py prove      upload a document, wait until it is indexed, ask about it, print the answer, clean up

The addresses come from the azd environment (the outputs of main.bicep). Both can be run again at any time. `prove` can
also test another app: --url, --key, and --documents with a SAS.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

SUBSCRIPTION = Path(__file__).resolve().parents[1] / "modules" / "created-events.bicep"
ADVICE = {
    "az": "Sign in: `az login`, then `az account set --subscription ...` with the subscription of the deployment.",
    "azd": "Sign in: `azd auth login`, and select the environment: `azd env select`.",
}
FINAL = ("indexed", "failed", "unsupported")
STORAGE_VERSION = "2021-12-02"


class Failed(Exception):
    """A step did not work. `advice`: what usually repairs it."""

    def __init__(self, message: str, advice: str = "") -> None:
        super().__init__(message)
        self.advice = advice


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Patience:
    """How often to poll, and for how long."""

    def __init__(self, *, every_s: float, within_s: float) -> None:
        self.every_s = every_s
        self.within_s = within_s


def wait_for(what: str, look: Callable[[], Any], patience: Patience, advice: str) -> Any:
    """Call `look` until it returns something true. If it raises `Failed`, that is the reason given at the deadline."""
    deadline_s, why = time.monotonic() + patience.within_s, ""
    while True:
        try:
            found = look()
        except Failed as exc:
            found, why = None, str(exc)
        if found:
            return found
        if time.monotonic() > deadline_s:
            raise Failed(f"{what}: not within {patience.within_s:.0f} s. {why}".strip(), advice)
        time.sleep(patience.every_s)


# ---- the commands that it needs ----------------------------------------------------------------------------------


def run(program: str, *arguments: str) -> str:
    """The output of a command such as `az`. On Windows, `az` is a .cmd file, which only `shutil.which` finds."""
    path = shutil.which(program)
    if path is None:
        raise Failed(f"There is no `{program}` on PATH.", "Install the Azure CLI and the Azure Developer CLI.")
    result = subprocess.run([path, *arguments], capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        lines = [line for line in result.stderr.splitlines() if line.strip()] or ["it gave no reason"]
        raise Failed(f"`{program} {' '.join(arguments[:3])}` failed: {' '.join(lines[-3:])}", ADVICE[program])
    return result.stdout.strip()


def environment() -> Mapping[str, str]:
    """The azd environment: from the variables of a hook, otherwise from `azd env get-values`."""
    if os.environ.get("AZURE_FUNCTION_APP_NAME"):
        return os.environ
    values = dict(os.environ)
    for line in run("azd", "env", "get-values").splitlines():
        name, _, value = line.partition("=")
        values[name] = value.strip('"')
    return values


def needed(environ: Mapping[str, str], name: str) -> str:
    if value := environ.get(name):
        return value
    raise Failed(
        f"{name} is not in the azd environment.",
        "Run `azd provision` first, or select the right environment with `azd env select`.",
    )


def app_keys(environ: Mapping[str, str], query: str) -> str:
    app, group = needed(environ, "AZURE_FUNCTION_APP_NAME"), needed(environ, "AZURE_RESOURCE_GROUP")
    answer = run("az", "functionapp", "keys", "list", "-n", app, "-g", group, "--query", query, "-o", "tsv")
    return "" if answer in ("None", "false") else answer


# ---- connect -----------------------------------------------------------------------------------------------------


def connect(environ: Mapping[str, str], patience: Patience) -> None:
    """Create or update the subscription that sends BlobCreated to the blob trigger."""
    url = needed(environ, "AZURE_FUNCTION_APP_URL")
    say(f"Waiting for the app at {url}")
    health = App(url, key="").health
    advice = "Read the log: `az webapp log tail` or Application Insights. If no function is listed, an import failed."
    wait_for("The app answers /api/health", health, patience, advice)
    say("Waiting for the key of the blob trigger's webhook")
    query = "contains(keys(systemKeys), 'blobs_extension')"
    advice = "The key is made when index_document starts first. Check that `az functionapp function list` shows it."
    wait_for("The key", lambda: app_keys(environ, query), patience, advice)
    say("Connecting Event Grid with the webhook; the handshake can take a few tries")
    advice = "Run this again in a few minutes. See also Troubleshooting in infra/README.md."
    wait_for("The subscription", lambda: subscribe(environ), patience, advice)
    say("Event Grid is connected.")


def subscribe(environ: Mapping[str, str]) -> bool:
    """Try once. The template reads the key itself; deploying it again changes nothing."""
    group = needed(environ, "AZURE_STORAGE_RESOURCE_GROUP")
    arguments = ["deployment", "group", "create", "-g", group, "-n", "created-events"]
    parameters = {
        "topicName": "AZURE_EVENT_GRID_TOPIC_NAME",
        "storageId": "AZURE_STORAGE_ACCOUNT_ID",
        "functionAppName": "AZURE_FUNCTION_APP_NAME",
        "functionAppResourceGroup": "AZURE_RESOURCE_GROUP",
    }
    given = [f"{name}={needed(environ, variable)}" for name, variable in parameters.items()]
    run(
        "az",
        *arguments,
        "--template-file",
        str(SUBSCRIPTION),
        "--parameters",
        *given,
        "--only-show-errors",
        "-o",
        "none",
    )
    return True


# ---- prove -------------------------------------------------------------------------------------------------------


class NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: the function key must not be sent to another host."""

    def redirect_request(self, *_: Any) -> None:
        return None


OPENER = urllib.request.build_opener(NoRedirects)


def send(method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> tuple[int, Message, bytes]:
    """Status, headers and body of the response, also for error statuses."""
    request = urllib.request.Request(url, data=body, headers=dict(headers), method=method)  # noqa: S310
    try:
        with OPENER.open(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as exc:
        with exc:
            return exc.code, exc.headers, exc.read()
    except OSError as exc:
        raise Failed(f"{method} {url.split('?')[0]}: {exc}") from exc


class App:
    """The HTTP API."""

    def __init__(self, url: str, *, key: str, token: str = "") -> None:
        """`token`: of Entra, for an app at which people sign in."""
        self.url = url.rstrip("/")
        self._headers = {"x-functions-key": key} if key else {}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def health(self) -> bool:
        status, _, _ = send("GET", f"{self.url}/api/health", {})
        if status != 200:
            raise Failed(f"It answers {status}.")
        return True

    def get(self, where: str) -> tuple[int, Message, Any]:
        if urlsplit(where)[:2] != urlsplit(self.url)[:2]:
            raise Failed(f"The app redirects to {where.split('?')[0]}, which is not the app.")
        return self._json("GET", where)

    def post(self, path: str, body: Any) -> tuple[int, Message, Any]:
        return self._json("POST", self.url + path, json.dumps(body).encode())

    def _json(self, method: str, url: str, body: bytes | None = None) -> tuple[int, Message, Any]:
        headers = {**self._headers, "Content-Type": "application/json"}
        status, answered, content = send(method, url, headers, body)
        try:
            return status, answered, json.loads(content)
        except ValueError:
            raise Failed(f"{method} {urlsplit(url).path} answers {status} with no JSON.", KEY_ADVICE) from None


KEY_ADVICE = (
    "401: the function key is wrong or missing. 404: no functions are loaded. 500: see the log in Application Insights."
)
DROP_ADVICE = (
    "403: you need the role Storage Blob Data Contributor on the storage account (a new assignment takes some minutes) "
    "and, with a private network, your address in ALLOWED_IPS."
)
INDEX_ADVICE = (
    "Check in this order: does the subscription document-created exist (`postdeploy connect`), are there events in the "
    "container dead-letters, are there errors in the log of index_document, are there messages in the queue "
    "webjobs-blobtrigger-poison? After a new deployment, roles can take ten minutes: run `postdeploy prove` again."
)
RUN_ADVICE = (
    "Check that the model deployment exists and that the app's identity has its role there. See the run's error."
)


class Documents:
    """The blob container `documents`, accessed with a token or a SAS."""

    def __init__(self, url: str, *, token: str) -> None:
        self._url, _, self._sas = url.partition("?")
        self._headers = {"x-ms-version": STORAGE_VERSION}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"

    def drop(self, name: str, content: str) -> bool:
        headers = {**self._headers, "x-ms-blob-type": "BlockBlob", "Content-Type": "text/markdown"}
        self._send("PUT", name, headers, content.encode(), wanted=201)
        return True

    def delete(self, name: str) -> None:
        self._send("DELETE", name, self._headers, None, wanted=202)

    def _send(self, method: str, name: str, headers: Mapping[str, str], body: bytes | None, *, wanted: int) -> None:
        url = f"{self._url.rstrip('/')}/{quote(name)}" + (f"?{self._sas}" if self._sas else "")
        status, answered, _ = send(method, url, headers, body)
        if status != wanted:
            code = answered.get("x-ms-error-code", "")
            raise Failed(f"{method} {name} in the container documents: {status} {code}", DROP_ADVICE)


def prove(app: App, documents: Documents, patience: Patience) -> None:
    """Upload, index, ask, delete, with a document that holds a random word: no model can guess it."""
    folder, word = f"proof-{secrets.token_hex(4)}", secrets.token_hex(4)
    name = f"{folder}/proof.md"
    say(f"Uploading {name}")
    text = f"# Proof\n\nThe password of the proof room is {word}. The room is on the second floor.\n"
    wait_for("Uploading a document", lambda: documents.drop(name, text), patience, DROP_ADVICE)
    try:
        document = wait_for("Indexing", lambda: final_document(app, folder, name), patience, INDEX_ADVICE)
        if document["status"] != "indexed":
            raise Failed(
                f"The document is {document['status']}: {(document.get('reason') or {}).get('message')}", INDEX_ADVICE
            )
        say("It is indexed. Asking about it")
        show(answered(app, "What is the password of the proof room?", folder, patience), word)
    finally:
        documents.delete(name)
    wait_for("Removing the document", lambda: not listed(app, folder), patience, INDEX_ADVICE)
    say("Cleaned up: the document was deleted, and the app has removed it from its index. The deployment works.")


def listed(app: App, folder: str) -> list[Any]:
    status, _, body = app.get(f"{app.url}/api/documents?collection={folder}")
    if status != 200:
        raise Failed(f"GET /api/documents answers {status}: {body.get('detail')}", KEY_ADVICE)
    documents: list[Any] = body["documents"]
    return documents


def final_document(app: App, folder: str, name: str) -> Any:
    return next((found for found in listed(app, folder) if found["path"] == name and found["status"] in FINAL), None)


def answered(app: App, question: str, folder: str, patience: Patience) -> Any:
    """Ask and follow `Location` until the run has ended, as Logic Apps does."""
    status, headers, run = app.post("/api/runs", {"question": question, "collection": folder})
    if status != 202:
        raise Failed(f"POST /api/runs answers {status}: {run.get('detail')}", KEY_ADVICE)
    deadline_s = time.monotonic() + patience.within_s
    while status == 202:
        if time.monotonic() > deadline_s:
            raise Failed(f"The run {run['id']} has not ended within {patience.within_s:.0f} s.", RUN_ADVICE)
        time.sleep(min(float(headers.get("Retry-After", 1)), patience.every_s))
        status, headers, run = app.get(urljoin(app.url, headers["Location"]))
    if status != 200 or run["status"] != "completed":
        raise Failed(
            f"The run ended as {run.get('status', status)}: {run.get('error') or run.get('detail')}", RUN_ADVICE
        )
    return run


def show(run: Any, word: str) -> None:
    say("")
    say(run["markdown"].strip())
    say("")
    cost = run.get("cost")
    if cost:
        took_s = run["timings"]["total_ms"] / 1000
        say(f"It cost {cost['usd']:.6f} US dollars ({cost['prices']}) and took {took_s:.1f} s.")
    if word not in run["answer"]:
        raise Failed(
            f"The answer does not hold the word {word} of the document.", "Try again: the model can make mistakes."
        )
    if not run["citations"]:
        raise Failed("The answer cites no document.", "Try again: the model can make mistakes.")


# ---- command line ------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    options = parse(arguments)
    patience = Patience(every_s=options.every_s, within_s=options.within_s)
    try:
        if options.what in ("all", "connect"):
            connect(environment(), patience)
        if options.what in ("all", "prove"):
            prove(*deployment(options), patience)
    except Failed as exc:
        sys.stderr.write(f"\nFAILED: {exc}\n{exc.advice}\n")
        return 1
    return 0


def deployment(options: argparse.Namespace) -> tuple[App, Documents]:
    if options.url:
        return App(options.url, key=options.key), Documents(options.documents, token=options.token)
    environ = environment()
    key = app_keys(environ, "functionKeys.default")
    client_id = environ.get("AZURE_SIGN_IN_CLIENT_ID")
    signed_in = access_token(f"api://{client_id}") if client_id else ""
    app = App(needed(environ, "AZURE_FUNCTION_APP_URL"), key=key, token=signed_in)
    documents = needed(environ, "AZURE_STORAGE_BLOB_URL").rstrip("/") + "/documents"
    return app, Documents(documents, token=access_token("https://storage.azure.com/"))


def access_token(resource: str) -> str:
    """A token of the user of `az login`."""
    query = ("--query", "accessToken", "-o", "tsv")
    return run("az", "account", "get-access-token", "--resource", resource, *query)


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="?", choices=("all", "connect", "prove"), default="all")
    parser.add_argument("--url", help="URL of the app; then --documents is needed too, and azd and az are not called")
    parser.add_argument("--key", default=os.environ.get("APP_KEY", ""), help="function key; better set APP_KEY")
    parser.add_argument("--documents", help="URL of the blob container, with a SAS unless --token is given")
    parser.add_argument(
        "--token",
        default=os.environ.get("STORAGE_TOKEN", ""),
        help="access token for storage; better set STORAGE_TOKEN",
    )
    parser.add_argument("--every-s", type=float, default=10, help="seconds between two polls")
    parser.add_argument("--within-s", type=float, default=900, help="seconds that each step may take")
    options = parser.parse_args(arguments)
    if bool(options.url) != bool(options.documents):
        parser.error("--url and --documents go together")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
