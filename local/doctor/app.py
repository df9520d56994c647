"""Checks of an app over HTTP, on this machine or in Azure: health, clock, key, documents, the event flow."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import httpx2

from local.client import Json
from local.doctor.finding import Finding
from local.paths import ROOT

MAX_SKEW_S = 120  # Azure rejects requests from 15 minutes on; access tokens fail earlier
STUCK_AFTER = timedelta(minutes=30)
PROVE = ROOT / "infra" / "scripts" / "postdeploy.py"


def check_app(url: str, *, key: str, fix: str) -> Iterator[Finding]:
    """Check health, clock, key, the app's own deep check (if it has one) and stuck documents.

    Args:
        url: The app's address, without a slash at the end.
        key: Function key; empty if the app needs none.
        fix: The fix to suggest if the app does not answer.
    """
    headers = {"x-functions-key": key} if key else {}
    with httpx2.Client(base_url=url, headers=headers, timeout=60, trust_env=not url.startswith("http://127.")) as http:
        try:
            response = http.get("/api/health")
        except httpx2.HTTPError as exc:
            yield Finding(name="app", detail=f"{url} does not answer ({type(exc).__name__})", fix=fix)
            return
        ok = response.status_code == 200
        yield Finding(name="app", detail=f"{url} answers {response.status_code}", fix="" if ok else fix)
        yield check_clock(response.headers.get("Date", ""))
        if ok:
            yield from _with_key(http, url)


def check_clock(date: str, *, now: Callable[[], float] = time.time) -> Finding:
    """Compare this machine's clock with the app's `Date` header."""
    if not date:
        return Finding(name="clock", detail="not checked: the app sends no Date header")
    skew_s = abs(parsedate_to_datetime(date).timestamp() - now())
    fix = "sudo timedatectl set-ntp true (Windows: w32tm /resync)" if skew_s > MAX_SKEW_S else ""
    return Finding(name="clock", detail=f"{skew_s:.0f} s apart", fix=fix)


def _with_key(http: httpx2.Client, url: str) -> Iterator[Finding]:
    try:
        response = http.get("/api/documents")
        deep = http.get("/api/health/deep")
    except httpx2.HTTPError as exc:
        detail = f"{url} closed the connection ({type(exc).__name__})"
        yield Finding(name="documents", detail=detail, fix="run this command again")
        return
    yield check_documents(response)
    if deep.status_code != 404:
        yield from check_deep_health(deep)


def check_documents(response: httpx2.Response) -> Finding:
    """Read an answer of `GET /api/documents`: is the key accepted, does storage answer, is a document stuck?"""
    if response.status_code == 401:
        fix = "APP_KEY=$(az functionapp keys list -g GROUP -n APP --query functionKeys.default -o tsv)"
        return Finding(name="key", detail="the app rejects the function key", fix=fix)
    if response.status_code != 200:
        reason = _json(response).get("detail", "no reason given")
        detail = f"GET /api/documents answers {response.status_code}: {reason}"
        return Finding(name="documents", detail=detail, fix="see the app's log; 404 means that no functions are loaded")
    found: list[Json] = _json(response).get("documents", [])
    stuck = [document["path"] for document in found if _is_stuck(document)]
    if stuck:
        fix = "see the log of check_indexing; then upload these files again"
        return Finding(name="documents", detail=f"{len(stuck)} stuck, such as {stuck[0]}", fix=fix)
    return Finding(name="documents", detail=f"{len(found)}, none stuck")


def _is_stuck(document: Json) -> bool:
    if document.get("status") not in ("pending", "indexing", "removing"):
        return False
    since = document.get("updated_at")
    return bool(since) and datetime.now(UTC) - datetime.fromisoformat(str(since)) > STUCK_AFTER


def check_deep_health(response: httpx2.Response) -> Iterator[Finding]:
    """Read an answer of `GET /api/health/deep`: the app's own checks of storage, queues and model service.

    `checks` may be a list of objects with a `name`, or an object with the names as keys.
    """
    body = _json(response)
    checks = body.get("checks", {})
    named = checks.items() if isinstance(checks, dict) else [(check.get("name", "?"), check) for check in checks]
    for name, check in named:
        check = check if isinstance(check, dict) else {"status": check}
        ok = check.get("ok", str(check.get("status")).lower() in ("ok", "healthy", "pass", "true"))
        detail = str(check.get("detail") or check.get("message") or check.get("status") or ("ok" if ok else "not ok"))
        yield Finding(name=f"app: {name}", detail=detail, fix="" if ok else str(check.get("mend") or _fix_of(name)))
    if not named:
        fix = "" if response.status_code == 200 else "see the app's log"
        yield Finding(name="app: deep", detail=f"answers {response.status_code}", fix=fix)


def _fix_of(check: str) -> str:
    fixes = {
        "settings": "azd provision",
        "storage": "azd provision (it assigns the roles), then wait ten minutes",
        "queue": "azd provision (it assigns the roles), then wait ten minutes",
        "model": "azd provision; is OPENAI_SCOPE right? az cognitiveservices account deployment list -g GROUP -n NAME",
    }
    return next((fix for part, fix in fixes.items() if part in check.lower()), "see the app's log")


def check_event_flow(url: str, *, key: str, documents_url: str) -> Finding:
    """Upload a document, wait until it is indexed, ask about it and delete it, with `postdeploy.py prove`.

    Args:
        url: The app's address.
        key: Function key; empty if the app needs none.
        documents_url: The container `documents` with a SAS; empty takes the azd environment's.
    """
    options = ["--url", url, "--documents", documents_url, "--every-s", "1"] if documents_url else []
    environ = {**os.environ, "APP_KEY": key}
    command = [sys.executable, str(PROVE), "prove", *options]
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    if result.returncode == 0:
        return Finding(name="event flow", detail="a document was uploaded, indexed, cited and deleted")
    lines = result.stderr.replace("FAILED: ", "").strip().splitlines() or ["no reason given"]
    return Finding(name="event flow", detail=lines[0], fix=" ".join(lines[1:]) or "see the app's log")


def _json(response: httpx2.Response) -> Json:
    """The JSON object of a response; empty if there is none."""
    try:
        body = response.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
