"""Other people's clients, unmodified: openai-agents' examples, langchain-openai, openai-node, the Vercel AI SDK."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path

import pytest
from openai import AsyncOpenAI

from tests.local.openai_emulator.clients.obliging import emulator
from tests.local.openai_emulator.clients.packages import client_environ, environment, node_modules, run, sources

pytestmark = pytest.mark.long
AGENTS, LANGCHAIN = "0.24.0", "1.7.3"
NODE = ("openai@7.57.0", "ai@6", "@ai-sdk/openai@3")
GUIDE = b"# Pumps\n\nPumps must be inspected every 14 days.\n"
QUESTION = "How often must pumps be inspected?"

LANGCHAIN_SCRIPT = """
import sys
from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="m", use_responses_api=True)
search = {"type": "file_search", "vector_store_ids": [sys.argv[1]]}
whole, parts = None, 0
for chunk in model.bind_tools([search]).stream(sys.argv[2]):
    whole = chunk if whole is None else whole + chunk
    parts += bool(chunk.text)
assert parts > 3, parts
notes = [note for part in whole.content if part["type"] == "text" for note in part.get("annotations", [])]
print(whole.text, [note.get("filename") or note.get("title") for note in notes])
"""
NODE_SCRIPT = """
import OpenAI from "openai";
const [store, question] = process.argv.slice(2);
const tools = [{ type: "file_search", vector_store_ids: [store] }];
const stream = new OpenAI().responses.stream({ model: "m", input: question, tools });
let deltas = 0;
stream.on("response.output_text.delta", () => { deltas += 1; });
const response = await stream.finalResponse();
if (deltas < 3) throw new Error(`only ${deltas} deltas`);
console.log(response.output_text, response.output.at(-1).content[0].annotations.map((note) => note.filename));
"""
AI_SDK_SCRIPT = """
import { createOpenAI } from "@ai-sdk/openai";
import { streamText } from "ai";
const [store, question] = process.argv.slice(2);
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL.replace(/\\/$/, "") });
const tools = { file_search: openai.tools.fileSearch({ vectorStoreIds: [store] }) };
const result = streamText({ model: openai.responses("gpt-4o"), prompt: question, tools });
let parts = 0;
for await (const part of result.textStream) parts += part.length > 0;
if (parts < 3) throw new Error(`only ${parts} parts`);
console.log(await result.text, (await result.sources).map((source) => source.filename));
"""


async def store_with_guide(url: str) -> str:
    async with AsyncOpenAI(base_url=f"{url}/v1/", api_key="any") as client:
        file = await client.files.create(file=("guide.md", GUIDE), purpose="assistants")
        store = await client.vector_stores.create()
        await client.vector_stores.files.create_and_poll(file.id, vector_store_id=store.id)
        return store.id


def check(code: int, output: str) -> None:
    assert code == 0, output[-3000:]
    assert "14 days" in output
    assert "guide.md" in output


@pytest.mark.parametrize(("example", "kind"), [("file_search.py", "builtin"), ("code_interpreter.py", "model")])
async def test_examples_of_openai_agents(example: str, kind: str) -> None:
    folder = await sources("openai-agents", AGENTS) / "examples/tools"
    python = await environment("agents", f"openai-agents=={AGENTS}", f"openai=={version('openai')}")
    async with emulator(kind) as url:
        environ = {**client_environ(url), "OPENAI_AGENTS_DISABLE_TRACING": "1"}
        code, output = await run(python, "-P", folder / example, environ=environ)
    assert code == 0, output[-3000:]
    assert ("water as a metaphor for oil" if kind == "builtin" else "Final output: This is the answer") in output


async def test_langchain_streams_a_file_search(tmp_path: Path) -> None:
    python = await environment("langchain", f"langchain-openai=={LANGCHAIN}", f"openai=={version('openai')}")
    script = tmp_path / "ask.py"
    script.write_text(LANGCHAIN_SCRIPT)
    async with emulator("builtin") as url:
        store_id = await store_with_guide(url)
        check(*await run(python, script, store_id, QUESTION, environ=client_environ(url), folder=tmp_path))


@pytest.mark.parametrize(("client", "script"), [("openai-node", NODE_SCRIPT), ("ai-sdk", AI_SDK_SCRIPT)])
async def test_clients_of_node_stream_a_file_search(client: str, script: str) -> None:
    folder = await node_modules(*NODE)
    file = folder / f"ask-{client}.mjs"  # beside the packages, where Node.js looks for them
    file.write_text(script)
    async with emulator("builtin") as url:
        store_id = await store_with_guide(url)
        node = shutil.which("node") or "node"
        check(*await run(node, file, store_id, QUESTION, environ=client_environ(url), folder=folder))
