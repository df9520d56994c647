"""The steps of the Azure OpenAI Assistants tutorial, as a user runs them: `python tutorial.py URL`.

Runs with the pinned SDK and with releases that still have `client.beta.vector_stores`; it imports nothing else.
Source: https://learn.microsoft.com/azure/ai-services/openai/how-to/file-search
"""

import json
import sys
import warnings

from openai import AzureOpenAI

warnings.simplefilter("ignore", DeprecationWarning)
GUIDE = b"# Pumps\n\nPumps must be inspected every 14 days.\n\n# Valves\n\nValves are replaced after 900 hours.\n"
SALES = b"region,sales\nnorth,10\nsouth,25\neast,5\n"


def main(url: str) -> None:
    client = AzureOpenAI(azure_endpoint=url, api_key="any", api_version="2024-05-01-preview", max_retries=0)
    stores = getattr(client.beta, "vector_stores", None) or client.vector_stores
    assistant = client.beta.assistants.create(
        name="Analyst",
        instructions="Answer from the files.",
        model="gpt-4o",
        tools=[{"type": "file_search"}, {"type": "code_interpreter"}],
    )
    table = client.files.create(file=("sales.csv", SALES), purpose="assistants")
    store = stores.create(name="Guides")
    guide = client.files.create(file=("guide.md", GUIDE), purpose="assistants")
    stores.files.create(vector_store_id=store.id, file_id=guide.id)
    resources = {"file_search": {"vector_store_ids": [store.id]}, "code_interpreter": {"file_ids": [table.id]}}
    assistant = client.beta.assistants.update(assistant.id, tool_resources=resources)
    thread = client.beta.threads.create()

    text, cited = ask(client, thread.id, assistant.id, "How often must pumps be inspected?")
    assert "14 days" in text, text
    assert cited == {guide.id}, cited
    text, _ = ask(client, thread.id, assistant.id, "When are valves replaced?")
    assert "900 hours" in text, text
    batch = stores.file_batches.upload_and_poll(
        vector_store_id=store.id, files=[("tanks.md", b"# Tanks\n\nTanks hold 4,500 litres.\n")]
    )
    assert (batch.status, batch.file_counts.completed) == ("completed", 1), batch
    text, _ = ask(client, thread.id, assistant.id, "How much do tanks hold?")
    assert "4,500 litres" in text, text

    text, _ = ask(client, thread.id, assistant.id, "Draw a bar chart of sales by region.")
    latest = client.beta.threads.messages.list(thread.id, order="desc", limit=1).data[0]
    images = [part.image_file.file_id for part in latest.content if part.type == "image_file"]
    assert images, latest
    assert client.files.content(images[0]).read().startswith(b"\x89PNG")
    client.beta.assistants.delete(assistant.id)
    client.beta.threads.delete(thread.id)
    stores.delete(store.id)
    for file in (table, guide):
        client.files.delete(file.id)
    assert not client.beta.assistants.list().data
    print(json.dumps({"done": True}))  # noqa: T201


def ask(client: AzureOpenAI, thread_id: str, assistant_id: str, question: str) -> tuple[str, set[str]]:
    """The text of the answer, and the files that it cites."""
    client.beta.threads.messages.create(thread_id=thread_id, role="user", content=question)
    run = client.beta.threads.runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id)
    assert run.status == "completed", run
    assert run.usage is not None and run.usage.total_tokens > 0, run
    answer = client.beta.threads.messages.list(thread_id=thread_id, order="desc", limit=1).data[0]
    texts = [part.text for part in answer.content if part.type == "text"]
    notes = [note for text in texts for note in text.annotations if note.type == "file_citation"]
    return "".join(text.value for text in texts), {note.file_citation.file_id for note in notes}


if __name__ == "__main__":
    main(sys.argv[1])
