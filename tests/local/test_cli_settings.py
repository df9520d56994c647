"""The model service that the stack uses, and the app's settings."""

from pathlib import Path

import pytest

from local.errors import LocalError
from local.settings import Service, app_settings, environ_with_dotenv, read_dotenv

OWN = {"OPENAI_BASE_URL": "https://mine.openai.azure.com/openai/v1/", "OPENAI_MODEL": "gpt-4.1-mini"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("NAME=value", "value"),
        ("export NAME=value", "value"),
        ("  NAME = value  ", "value"),
        ('NAME="a value"', "a value"),
        ("NAME='a=b'", "a=b"),
        ('NAME="', '"'),
        ("NAME='a'b", "'a'b"),
        ("NAME=a#b", "a#b"),
        ("NAME=value # a comment", "value"),
        ("NAME='a # b'", "a # b"),
        ("NAME=${OTHER}$1", "${OTHER}$1"),
        ('NAME="a value"\r', "a value"),
        ("NAME=", ""),
        ("# NAME=value", None),
        ("NAME", None),
    ],
)
def test_dotenv_lines(line: str, value: str | None) -> None:
    assert read_dotenv(f"OTHER=1\n{line}\n").get("NAME") == value


def test_a_line_that_cannot_be_parsed_does_not_hide_others() -> None:
    assert read_dotenv("ONE=1\nBROKEN='\nTWO=2\n=3\nTHREE=3\n") == {"ONE": "1", "BROKEN": "'", "TWO": "2", "THREE": "3"}


def test_a_file_from_windows_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ONE", raising=False)
    (tmp_path / ".env").write_bytes(b'\xef\xbb\xbfONE="a"\r\nTWO=b\r\n')
    environ = environ_with_dotenv(tmp_path)
    assert (environ["ONE"], environ["TWO"]) == ("a", "b")


def test_a_variable_takes_precedence_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("ONE=file\nTWO=file\n")
    monkeypatch.setenv("ONE", "variable")
    environ = environ_with_dotenv(tmp_path)
    assert (environ["ONE"], environ["TWO"]) == ("variable", "file")


def test_a_key_alone_does_not_select_a_service() -> None:
    assert Service.from_environ({"OPENAI_API_KEY": "sk-someone"}) is None


def test_a_configured_service_is_used_with_its_key() -> None:
    service = Service.from_environ({**OWN, "OPENAI_API_KEY": "secret"})
    assert service == Service(base_url=OWN["OPENAI_BASE_URL"], api_key="secret", model="gpt-4.1-mini")
    assert not service.is_emulator


def test_a_configured_service_needs_a_model() -> None:
    with pytest.raises(LocalError, match="OPENAI_MODEL") as caught:
        Service.from_environ({"OPENAI_BASE_URL": OWN["OPENAI_BASE_URL"]})
    assert "OPENAI_MODEL" in caught.value.advice


def test_app_settings_override_the_environment_and_keep_the_rest() -> None:
    environ = {"PRICE_INPUT_USD": "1", "OPENAI_MODEL": "mine", "AzureWebJobsStorage": "production"}
    service = Service.emulated("http://127.0.0.1:8787")
    settings = app_settings(environ, storage="local", service=service, blob_source="EventGrid")
    assert settings["PRICE_INPUT_USD"] == "1"
    assert settings["AzureWebJobsStorage"] == "local"
    assert settings["OPENAI_BASE_URL"] == "http://127.0.0.1:8787/openai/v1/"
    assert (settings["OPENAI_MODEL"], settings["ENGINE"], settings["BLOB_SOURCE"]) == (
        "builtin",
        "responses",
        "EventGrid",
    )
