"""The models of the emulator: a real one behind an endpoint, or the builtin offline one."""

from __future__ import annotations

from local.openai_emulator.agent.model import Model
from local.openai_emulator.settings import Settings


def from_settings(settings: Settings) -> Model:
    """The model behind `EMULATOR_MODEL_URL`, or the builtin offline one."""
    if settings.model_url:
        from local.openai_emulator.models.chat import ChatModel

        return ChatModel(settings.model_url, settings.model or "", settings.model_key)
    from local.openai_emulator.models.offline.builtin import BuiltinModel

    return BuiltinModel()
