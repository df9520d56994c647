"""Which requests a server of this machine answers."""

from __future__ import annotations

import pytest

from local.callers import Callers, refusal_of_type

OWN = Callers(hosts=frozenset({"devbox", "shared.local:7071"}), origins=frozenset({"http://localhost:3000"}))
HOST = {"host": "127.0.0.1:7071"}


def code(**headers: str) -> str | None:
    names = HOST | {name.replace("_", "-"): value for name, value in headers.items()}
    refusal = OWN.refusal_of_sender(names, server="127.0.0.1")
    return refusal and refusal.code


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1:7071",
        "localhost",
        "LocalHost:1",
        "[::1]:7071",
        "127.1.2.3",
        "devbox:5",
        "DEVBOX",
        "shared.local:7071",
        "",
    ],
)
def test_a_host_of_this_machine_or_of_the_setting_is_answered(host: str) -> None:
    assert code(host=host) is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example:7071",
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:7071",
        "evil.localhost:7071",
        "localhost.",
        "192.168.1.5:7071",
        "shared.local:1",
        "shared.local",
        "[::2]:7071",
    ],
)
def test_a_foreign_host_is_refused(host: str) -> None:
    """As after DNS rebinding: the page and its requests have the same origin."""
    assert code(host=host, origin=f"http://{host}", sec_fetch_site="same-origin") == "foreign_host"
    assert code(host=host) == "foreign_host"


def test_the_address_at_which_a_request_arrived_is_a_host_of_this_machine() -> None:
    assert Callers().refusal_of_sender({"host": "192.168.1.5:7071"}, server="192.168.1.5") is None


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "", "http://localhost:3001", "https://127.0.0.1:7071"]
)
def test_a_foreign_origin_is_refused(origin: str) -> None:
    assert code(origin=origin) == "foreign_origin"


@pytest.mark.parametrize("site", ["cross-site", "same-site", "anything"])
def test_a_request_of_another_site_is_refused_without_an_origin_too(site: str) -> None:
    """A form, an image and a link send GET without an Origin."""
    assert code(sec_fetch_site=site) == "foreign_site"


def test_programs_own_pages_and_listed_origins_are_answered() -> None:
    assert code() is None
    assert code(sec_fetch_site="none") is None
    assert code(origin="http://127.0.0.1:7071", sec_fetch_site="same-origin") is None
    assert code(origin="http://localhost:3000", sec_fetch_site="same-site") is None
    assert code(host="evil.example", origin="http://localhost:3000") == "foreign_host"


@pytest.mark.parametrize(
    ("method", "headers", "refused"),
    [
        ("POST", {"content-type": "text/plain", "content-length": "2"}, True),
        ("POST", {"content-type": "TEXT/PLAIN; charset=utf-8", "content-length": "2"}, True),
        ("POST", {"content-type": "application/x-www-form-urlencoded", "content-length": "0"}, True),
        ("POST", {"content-type": "multipart/form-data; boundary=a", "content-length": "2"}, True),
        ("POST", {"content-length": "2"}, True),
        ("POST", {"transfer-encoding": "chunked"}, True),
        ("POST", {}, False),
        ("POST", {"content-length": "0"}, False),
        ("POST", {"content-type": "application/json", "content-length": "2"}, False),
        ("PUT", {"content-type": "text/plain", "content-length": "2"}, False),
        ("DELETE", {}, False),
        ("GET", {}, False),
    ],
)
def test_a_post_that_a_form_could_send_is_refused(method: str, headers: dict[str, str], refused: bool) -> None:
    assert (refusal_of_type(method, headers) is not None) == refused


def test_settings_are_exact_hosts_and_origins() -> None:
    environ = {"ALLOWED_HOSTS": "Devbox, other:7071", "CORS_ORIGINS": "http://localhost:3000,https://my.example"}
    assert Callers.from_environ(environ) == Callers(
        hosts=frozenset({"devbox", "other:7071"}), origins=frozenset({"http://localhost:3000", "https://my.example"})
    )
    assert Callers.from_environ({}) == Callers()


@pytest.mark.parametrize("origins", ["*", "null", "localhost:3000", "http://a.example/", "http://*.example", "file://"])
def test_no_origin_stands_for_several(origins: str) -> None:
    with pytest.raises(ValueError, match="CORS_ORIGINS"):
        Callers.from_environ({"CORS_ORIGINS": f"http://localhost:3000,{origins}"})
