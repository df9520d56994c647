"""Settings: defaults, and errors that name the setting."""

import pytest

from shared.errors import SettingError
from shared.settings import Settings

LEAST = {
    "AzureWebJobsStorage": "UseDevelopmentStorage=true",
    "OPENAI_BASE_URL": "https://r.openai.azure.com/openai/v1/",
    "OPENAI_MODEL": "gpt-4.1-mini",
}


def test_required_settings_are_enough() -> None:
    settings = Settings.from_environ(LEAST)
    assert settings.storage.connection_string == "UseDevelopmentStorage=true"
    assert (settings.openai_api_key, settings.engine) == (None, "responses")
    assert (settings.run_default_s, settings.run_max_s, settings.action_max_s) == (900, 3600, 7 * 24 * 3600)
    assert (settings.callback_hosts, settings.callback_secret, settings.callback_allow_private) == ((), None, False)
    assert settings.webhook_secret is None
    assert settings.openai_scope == "https://ai.azure.com/.default"
    assert (settings.question_max_chars, settings.document_max_bytes) == (8000, 512 * 1024 * 1024)


@pytest.mark.parametrize("name", LEAST)
@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_setting_is_named(name: str, value: str | None) -> None:
    environ = {key: text for key, text in LEAST.items() if key != name} | ({} if value is None else {name: value})
    with pytest.raises(SettingError, match=name) as caught:
        Settings.from_environ(environ)
    assert caught.value.code == "setting_missing"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RUN_MAX_S", "0"),
        ("RUN_MAX_S", "-1"),
        ("RUN_MAX_S", "ten"),
        ("RUN_MAX_S", "1.5"),
        ("RUN_MAX_S", "²"),
        ("RUN_MAX_S", "9" * 30),
        ("RUN_MAX_S", "9" * 5000),
        ("RUN_MAX_S", "500000000000"),
        ("RUN_DEFAULT_S", "0"),
        ("ACTION_MAX_S", "x"),
        ("UPLOAD_MAX_BYTES", "1 MB"),
        ("TOOL_OUTPUT_MAX_BYTES", "-1"),
        ("INDEXING_MAX_S", "x"),
        ("INDEXING_MAX_S", "500000000000"),
        ("QUESTION_MAX_CHARS", "x"),
        ("BODY_MAX_BYTES", "64k"),
        ("DOCUMENT_MAX_BYTES", "x"),
        ("PRICE_INPUT_USD", "free"),
        ("PRICE_CACHED_USD", "-1"),
        ("PRICE_OUTPUT_USD", "nan"),
        ("PRICE_SEARCH_USD", "inf"),
        ("PRICE_SESSION_USD", "1e400"),
        ("ENGINE", "nonsense"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingError, match=name) as caught:
        Settings.from_environ({**LEAST, name: value})
    assert caught.value.code == "setting_invalid"
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    ("connection", "urls"),
    [
        (
            {"AzureWebJobsStorage__accountName": "acc"},
            ("https://acc.blob.core.windows.net", "https://acc.queue.core.windows.net"),
        ),
        (
            {"AzureWebJobsStorage__blobServiceUri": "https://b", "AzureWebJobsStorage__queueServiceUri": "https://q"},
            ("https://b", "https://q"),
        ),
        (
            {"AzureWebJobsStorage__accountName": "acc", "AzureWebJobsStorage__blobServiceUri": "https://b"},
            ("https://b", "https://acc.queue.core.windows.net"),
        ),
    ],
    ids=["account", "endpoints", "both"],
)
def test_managed_identity(connection: dict[str, str], urls: tuple[str, str]) -> None:
    environ = {**LEAST, **connection, "AzureWebJobsStorage": "", "AzureWebJobsStorage__clientId": "me"}
    settings = Settings.from_environ(environ)
    assert (settings.storage.blob_url, settings.storage.queue_url, settings.storage.connection_string) == (*urls, None)
    assert settings.identity_client_id == "me"


def test_one_endpoint_is_not_enough() -> None:
    with pytest.raises(SettingError, match="AzureWebJobsStorage__queueServiceUri"):
        Settings.from_environ({**LEAST, "AzureWebJobsStorage": "", "AzureWebJobsStorage__blobServiceUri": "https://b"})


def test_every_setting_is_read() -> None:
    environ = {
        **LEAST,
        "OPENAI_API_KEY": "k",
        "OPENAI_SCOPE": "s",
        "INSTRUCTIONS": "Be brief.",
        "RUN_MAX_S": "1",
        "ENGINE": "assistants",
        "CALLBACK_HOSTS": " a.example, *.b.example ,",
        "CALLBACK_ALLOW_PRIVATE": "True",
        "OPENAI_WEBHOOK_SECRET": "whsec_x",
        "PRICE_INPUT_USD": "0",
        "PRICE_LABEL": "ours",
        "AZURE_CLIENT_ID": "id",
    }
    settings = Settings.from_environ(environ)
    assert (settings.openai_api_key, settings.openai_scope, settings.instructions) == ("k", "s", "Be brief.")
    assert (settings.run_max_s, settings.price_input_usd, settings.price_label) == (1, 0.0, "ours")
    assert settings.callback_hosts == ("a.example", "*.b.example")
    assert (settings.engine, settings.callback_allow_private) == ("assistants", True)
    assert (settings.identity_client_id, settings.webhook_secret) == ("id", "whsec_x")
