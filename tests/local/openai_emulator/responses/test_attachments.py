"""Files and images inside messages of a response."""

from __future__ import annotations

import base64
from typing import Any

import openai
import pytest
from fpdf import FPDF
from openai import AsyncOpenAI

from local.openai_emulator.agent.conversation import Said
from local.openai_emulator.models.chat_messages import messages
from local.openai_emulator.models.offline.builtin import BuiltinModel
from tests.local.openai_emulator.client import ScriptedModel, client_of, create, running_app

PNG = b"\x89PNG, which no test decodes"
FACT = "The late fee of the library is 40 EUR for each book."


def data_url(content: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def pdf(text: str) -> bytes:
    document = FPDF()
    document.add_page()
    document.set_font("helvetica", size=12)
    document.multi_cell(0, 8, text)
    return bytes(document.output())


def asking(question: str, *parts: dict[str, Any]) -> Any:
    return [{"role": "user", "content": [*parts, {"type": "input_text", "text": question}]}]


def inline(name: str, content: bytes, kind: str) -> dict[str, Any]:
    return {"type": "input_file", "filename": name, "file_data": data_url(content, kind)}


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [("fees.pdf", pdf(FACT), "application/pdf"), ("fees.txt", FACT.encode(), "text/plain")],
)
async def test_the_model_reads_a_file(
    openai_client: AsyncOpenAI, emulator_model: ScriptedModel, name: str, content: bytes, kind: str
) -> None:
    file = await openai_client.files.create(file=(name, content), purpose="assistants")
    for part in (inline(name, content, kind), {"type": "input_file", "file_id": file.id}):
        response = await create(openai_client, input=asking("How much?", part))
        (said,) = emulator_model.prompts[-1].events
        assert isinstance(said, Said)
        assert said.text == "How much?"
        assert (said.files[0].filename, " ".join(said.files[0].texts).split()) == (name, FACT.split())
        (message,) = messages(emulator_model.prompts[-1])
        assert message["content"].startswith(f"File {name}:\nThe late fee")
        listed: Any = [item async for item in openai_client.responses.input_items.list(response.id)]
        assert listed[0].content[0].to_dict() == part
        assert response.usage is not None
        assert response.usage.input_tokens > 10


async def test_a_file_stays_in_its_conversation(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    items = asking("How much?", inline("fees.txt", FACT.encode(), "text/plain"))
    conversation = await openai_client.conversations.create(items=items)
    first = await create(openai_client, input="Why?", conversation=conversation.id)
    assert first.status == "completed"
    said: Any = emulator_model.prompts[-1].events[0]
    assert said.files[0].texts == (FACT,)


async def test_the_built_in_model_quotes_a_file() -> None:
    async with running_app(BuiltinModel()) as app, client_of(app) as client:  # type: ignore[arg-type]
        part = inline("fees.txt", b"Opening hours are long.\n\n" + FACT.encode(), "text/plain")
        response = await create(client, input=asking("How much is the late fee?", part))
        assert "40 EUR" in response.output_text
        other = await create(client, input=asking("Who won the football cup?", part))
        assert "do not say anything" in other.output_text


async def test_images_reach_a_model_that_takes_them(openai_client: AsyncOpenAI, emulator_model: ScriptedModel) -> None:
    file = await openai_client.files.create(file=("a.png", PNG), purpose="vision")
    url = data_url(PNG, "image/png")
    for given, expected in (({"image_url": url}, url), ({"file_id": file.id}, url)):
        part = {"type": "input_image", **given}
        await create(openai_client, input=asking("What is it?", part))
        (message,) = messages(emulator_model.prompts[-1])
        assert message["content"] == [
            {"type": "text", "text": "What is it?"},
            {"type": "image_url", "image_url": {"url": expected, "detail": "auto"}},
        ]


async def test_the_built_in_model_takes_no_images() -> None:
    async with running_app(BuiltinModel()) as app, client_of(app) as client:  # type: ignore[arg-type]
        part = {"type": "input_image", "image_url": data_url(PNG, "image/png")}
        with pytest.raises(openai.BadRequestError, match="only supported by certain models"):
            await create(client, input=asking("What is it?", part))
        with pytest.raises(openai.BadRequestError, match="only supported by certain models"):
            image: Any = {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}
            await client.chat.completions.create(model="m", messages=[{"role": "user", "content": [image]}])


@pytest.mark.parametrize(
    ("part", "status", "code"),
    [
        ({"type": "input_file"}, 400, "missing_required_parameter"),
        ({"type": "input_file", "file_id": "file-none"}, 404, "not_found"),
        ({"type": "input_file", "file_id": "a", "file_data": "b"}, 400, "mutually_exclusive_parameters"),
        ({"type": "input_file", "file_data": data_url(b"x", "text/plain")}, 400, "missing_required_parameter"),
        ({"type": "input_file", "filename": "a.txt", "file_data": "x"}, 400, "invalid_value"),
        ({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain,x"}, 400, "invalid_value"),
        ({"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,?"}, 400, "invalid_value"),
        ({"type": "input_file", "filename": "a.txt", "file_data": 7}, 400, "invalid_value"),
        (inline("a.pdf", b"%PDF-1.4 broken", "application/pdf"), 400, "unsupported_file"),
        ({"type": "input_file", "file_url": "https://example.com/a.pdf"}, 501, "not_implemented"),
        ({"type": "input_image"}, 400, "missing_required_parameter"),
        ({"type": "input_image", "image_url": "x"}, 400, "invalid_value"),
        ({"type": "input_image", "image_url": data_url(b"x", "text/plain")}, 400, "image_parse_error"),
    ],
)
async def test_what_cannot_be_read_is_refused(
    openai_client: AsyncOpenAI, part: dict[str, Any], status: int, code: str
) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        await create(openai_client, input=asking("?", part))
    assert (caught.value.status_code, caught.value.code) == (status, code)
