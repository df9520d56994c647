"""Which model answers, and whether it and storage are reached."""

import threading

import pytest

from local.settings import Service
from local.stack.model import Model, given_in_shell
from local.stack.probe import TIMEOUT_S, answers, silent, storage_urls
from local.watch import Watch
from tests.local.hanging import answering, hanging, storage_at

EMULATED = Service.emulated("http://127.0.0.1:8787")
OWN = Service(base_url="https://mine.openai.azure.com/openai/v1/", api_key="secret", model="gpt-4.1-mini")
BEHIND = {"EMULATOR_MODEL_URL": "http://127.0.0.1:11434/v1/", "EMULATOR_MODEL": "qwen3", "EMULATOR_MODEL_KEY": "k"}


@pytest.mark.parametrize(
    ("service", "environ", "text"),
    [
        (EMULATED, {}, "builtin, the emulator's own"),
        (EMULATED, BEHIND, "qwen3 at http://127.0.0.1:11434/v1, called by the emulator"),
        (EMULATED, {"EMULATOR_MODEL": "qwen3"}, "builtin, the emulator's own"),
        (OWN, BEHIND, "gpt-4.1-mini at https://mine.openai.azure.com/openai/v1"),
    ],
)
def test_the_model_that_answers_is_named(service: Service, environ: dict[str, str], text: str) -> None:
    assert str(Model.of(service, environ)) == text


def test_a_model_is_reached_when_its_server_answers() -> None:
    def at(url: str) -> Model:
        return Model(name="qwen3", url=url, through_emulator=True)

    assert Model.of(EMULATED, {}).reached()
    for status, reached in ((200, True), (401, True), (404, True), (502, False)):
        with answering(status) as url:
            assert at(url).reached() is reached
    gone = at(url)
    assert not gone.reached()
    assert "NOT reached" in gone.state()


def test_settings_of_the_shell_are_listed_without_their_values() -> None:
    environ = {**BEHIND, "OPENAI_BASE_URL": "", "PATH": "/bin"}
    assert given_in_shell(environ) == ["EMULATOR_MODEL", "EMULATOR_MODEL_KEY", "EMULATOR_MODEL_URL"]


def test_storage_that_hangs_is_silent() -> None:
    assert TIMEOUT_S < 10
    with hanging() as url, answering(403) as other:
        urls = storage_urls(storage_at(url))
        assert urls == [f"{url}/a?comp=list"] * 2
        assert silent([*urls, other], timeout_s=0.3) == urls


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "not a url", "http://[::1", "http://host.invalid/v1"])
def test_no_address_raises(url: str) -> None:
    assert not answers(url, timeout_s=0.5)


def test_a_part_that_stops_answering_is_told_once() -> None:
    states = iter([True, False, False, True])
    done = threading.Event()

    def storage() -> bool:
        state = next(states, None)
        if state is None:
            done.set()
            return True
        return state

    with Watch({"storage": storage}, every_s=0) as watch:
        assert done.wait(60)
        lines = list(watch.news())
    assert [line.strip().split(".")[0] for line in lines] == ["storage does not answer", "storage answers again"]
