"""The messages of threads. Each is stored with its events, which together are the thread's history for the model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

from openai.types.beta.threads import Message, Run
from openai.types.beta.threads.message import Attachment

from local.openai_emulator.agent.conversation import EVENTS, Event, Said
from local.openai_emulator.assistants.resources import Resources
from local.openai_emulator.assistants.threads import Threads
from local.openai_emulator.errors import invalid, not_found, not_implemented
from local.openai_emulator.http import wire
from local.openai_emulator.store import Body, Page, Paging, Store

KIND = "message"


class AttachmentTool(wire.RequestBody):
    type: Literal["code_interpreter", "file_search"]


class AskedAttachment(wire.RequestBody):
    file_id: str
    tools: tuple[AttachmentTool, ...] = ()


class CreateMessage(wire.RequestBody):
    role: Literal["user", "assistant"]
    content: str | list[dict[str, Any]]
    attachments: tuple[AskedAttachment, ...] | None = None
    metadata: wire.Metadata | None = None

    def texts(self) -> list[str]:
        """The text parts.

        Raises:
            ApiError: 400 if there is no text, 501 for images.
        """
        parts = [{"type": "text", "text": self.content}] if isinstance(self.content, str) else self.content
        for number, part in enumerate(parts):
            if part.get("type") in ("image_file", "image_url"):
                raise not_implemented(f"message content of type '{part['type']}'", param=f"content[{number}].type")
            if part.get("type") != "text" or not isinstance(part.get("text"), str) or part.keys() != {"type", "text"}:
                raise invalid("Expected a text, an image_file or an image_url.", param=f"content[{number}]")
        texts = [str(part["text"]) for part in parts]
        if not texts or not all(texts):
            raise invalid("Message content must be non-empty.", param="content")
        return texts

    def attached(self) -> list[Attachment]:
        return [Attachment.model_validate(one.model_dump()) for one in self.attachments or ()]


class Messages:
    def __init__(self, *, store: Store, threads: Threads, clock: Callable[[], float]) -> None:
        self._store = store
        self._threads = threads
        self._clock = clock

    def get(self, thread_id: str, message_id: str) -> Message:
        """Raises ApiError 404."""
        return read_message(self._body(thread_id, message_id))

    def page(self, thread_id: str, paging: Paging, *, run_id: str | None) -> Page:
        return self._store.page(KIND, paging, parent=thread_id, where=("run_id", run_id) if run_id else None)

    def check(self, asked: Sequence[CreateMessage], *, before: Resources) -> None:
        """Raises ApiError: one of these messages cannot be added to a thread with the tool resources `before`."""
        for message in asked:
            message.texts()
        attached = [one for message in asked for one in message.attached()]
        self._threads.check_attachments(attached, before=before)

    def add(self, thread_id: str, asked: CreateMessage) -> Message:
        """Add a message, which the caller has checked."""
        texts = asked.texts()
        attachments = asked.attached()
        self._threads.attach(thread_id, attachments)
        content = [{"type": "text", "text": {"value": text, "annotations": []}} for text in texts]
        message = self._message(thread_id, asked.role, content, attachments=[wire.dump(one) for one in attachments])
        message.metadata = asked.metadata or {}
        return self._put(message, [Said(role=asked.role, text="\n".join(texts))], new=True)

    def new_answer(self, run: Run) -> Message:
        """An empty message of a run, not saved yet."""
        message = self._message(run.thread_id, "assistant", [], attachments=[])
        message.assistant_id = run.assistant_id
        message.run_id = run.id
        return message

    def keep(self, message: Message, text: str) -> None:
        """Save what a run has written so far of its message, which is in progress."""
        part = {"type": "text", "text": {"value": text, "annotations": []}}
        fields = {
            **wire.dump(message),
            "status": "in_progress",
            "completed_at": None,
            "content": [part] if text else [],
        }
        self._put(Message.model_validate(fields), [])

    def interrupt(self, run: Run, reason: str | None) -> None:
        """End the messages of a run that are in progress: the process that wrote them has ended."""
        for body in self._store.all(KIND, parent=run.thread_id):
            message = read_message(body)
            if message.run_id == run.id and message.status == "in_progress":
                self.say(message, wire.dump(message)["content"], [], reason=reason)

    def say(
        self, message: Message, content: Sequence[dict[str, Any]], events: Sequence[Event], *, reason: str | None
    ) -> Message:
        """Fill in and save a message of a run.

        `events`: all events of the run, the answer last; `reason`: why the message is incomplete, if it is.
        """
        fields: dict[str, Any] = {**wire.dump(message), "content": list(content)}
        if reason is not None:
            fields |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
            fields["incomplete_at"] = int(self._clock())
        else:
            fields["completed_at"] = int(self._clock())
        return self._put(Message.model_validate(fields), events)

    def change(self, thread_id: str, message_id: str, *, metadata: dict[str, str]) -> Message:
        body = self._body(thread_id, message_id)
        body["message"]["metadata"] = metadata
        self._store.put(KIND, message_id, body, parent=thread_id)
        return read_message(body)

    def delete(self, thread_id: str, message_id: str) -> None:
        """Delete a message with its events; later runs do not see them."""
        self._store.delete(KIND, message_id, parent=thread_id)

    def delete_all(self, thread_id: str) -> None:
        self._store.delete_children(KIND, thread_id)

    # ---- the history -------------------------------------------------------------------------------------------

    def history(self, thread_id: str) -> list[tuple[str, list[Event]]]:
        """The (message id, events) of all messages, oldest first."""
        bodies = self._store.all(KIND, parent=thread_id)
        return [(body["message"]["id"], EVENTS.validate_python(body["events"])) for body in bodies]

    def take_new(self, thread_id: str) -> str | None:
        """The id of the first message that no run has processed yet; marks all messages as processed."""
        new = [body for body in self._store.all(KIND, parent=thread_id) if body["new"]]
        for body in new:
            self._store.put(KIND, body["message"]["id"], {**body, "new": False}, parent=thread_id)
        return new[0]["message"]["id"] if new else None

    # ---- records -----------------------------------------------------------------------------------------------

    def _body(self, thread_id: str, message_id: str) -> Body:
        body = self._store.get(KIND, message_id, parent=thread_id)
        if body is None:
            raise not_found("message", message_id)
        return body

    def _message(
        self, thread_id: str, role: str, content: Sequence[dict[str, Any]], *, attachments: list[Body]
    ) -> Message:
        return Message.model_validate(
            {
                "id": wire.new_id("msg_"),
                "object": "thread.message",
                "created_at": int(self._clock()),
                "thread_id": thread_id,
                "status": "completed",
                "incomplete_details": None,
                "completed_at": None,
                "incomplete_at": None,
                "role": role,
                "content": content,
                "assistant_id": None,
                "run_id": None,
                "attachments": attachments,
                "metadata": {},
            }
        )

    def _put(self, message: Message, events: Sequence[Event], *, new: bool = False) -> Message:
        body = {
            "run_id": message.run_id,
            "message": wire.dump(message),
            "events": EVENTS.dump_python(list(events), mode="json"),
            "new": new,
        }
        self._store.put(KIND, message.id, body, parent=message.thread_id)
        return message


def read_message(body: Body) -> Message:
    return Message.model_validate(body["message"])
