"""The fixture that other projects use, as one of them would."""

from __future__ import annotations

import pytest

from local.openai_emulator.testing.plugin import RunningEmulator, openai_emulator

__all__ = ["openai_emulator"]


def test_a_test_gets_an_empty_emulator(openai_emulator: RunningEmulator) -> None:
    client = openai_emulator.client()
    client.files.create(file=("a.txt", b"Hello."), purpose="assistants")
    assert len(client.files.list().data) == 1
    azure = openai_emulator.azure_client()
    assert azure.embeddings.create(model="any", input="Hello.").data


@pytest.mark.parametrize("number", [1, 2])
def test_each_test_has_its_own(openai_emulator: RunningEmulator, number: int) -> None:
    assert not openai_emulator.client().files.list().data
