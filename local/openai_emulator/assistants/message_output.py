"""Converts an answer to the content of an Assistants message: images first, then the text with its annotations.

In this API the text contains a marker such as `【4:0†source】` for each citation; the annotation spans the marker.
Source: https://learn.microsoft.com/azure/ai-services/openai/assistants-reference-messages
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from local.openai_emulator.agent.conversation import Cite, Event, OutputFile, Ran, Said, Searched
from local.openai_emulator.agent.model import Say, Show


def content(say: Say, events: Sequence[Event], *, done: Sequence[Event]) -> list[dict[str, Any]]:
    """The content blocks of an answer.

    Args:
        say: Its citations and files occur in `events`.
        events: The whole conversation.
        done: The events of this run; its images are included.
    """
    return [*image_parts(done), {"type": "text", "text": annotated(say, events)}]


def image_parts(done: Sequence[Event]) -> list[dict[str, Any]]:
    return [{"type": "image_file", "image_file": {"file_id": file.file_id}} for file in images_of(done)]


def images_of(done: Sequence[Event]) -> list[OutputFile]:
    """The images that code created, each in its last version."""
    made = {file.filename: file for event in done if isinstance(event, Ran) for file in event.files if file.is_image}
    return list(made.values())


def annotated(say: Say, events: Sequence[Event]) -> dict[str, Any]:
    """`{"value", "annotations"}`, annotations in text order."""
    places = sources(events)
    inserts = sorted(
        ((_marker_position(cite.position, say.shows), cite) for cite in say.citations), key=lambda one: one[0]
    )
    annotations = [_file_path(show, say.text, inserts, places) for show in say.shows]
    value, copied = "", 0
    for position, cite in inserts:
        value += say.text[copied:position]
        copied = position
        marker = marker_of(cite, places)
        annotations.append(
            {
                "type": "file_citation",
                "text": marker,
                "start_index": len(value),
                "end_index": len(value) + len(marker),
                "file_citation": {"file_id": cite.file_id},
            }
        )
        value += marker
    return {
        "value": value + say.text[copied:],
        "annotations": sorted(annotations, key=lambda note: int(note["start_index"])),
    }


def sources(events: Sequence[Event]) -> dict[str, tuple[int, int]]:
    """File id -> (event number, rank) of the last search result for the file."""
    places: dict[str, tuple[int, int]] = {}
    for number, event in enumerate(events):
        if isinstance(event, Searched):
            ranks = {passage.file_id: rank for rank, passage in reversed(list(enumerate(event.passages)))}
            places.update({file_id: (number, rank) for file_id, rank in ranks.items()})
        elif isinstance(event, Said):
            for cite in event.citations:
                places.setdefault(cite.file_id, (number, 0))
    return places


def marker_of(cite: Cite, places: dict[str, tuple[int, int]]) -> str:
    event, rank = places.get(cite.file_id, (0, 0))
    return f"【{event}:{rank}†source】"


def _marker_position(position: int, shows: Sequence[Show]) -> int:
    """Move a marker that would split a file path to the end of the path."""
    return next((show.end for show in shows if show.start < position < show.end), position)


def _file_path(
    show: Show, text: str, inserts: Sequence[tuple[int, Cite]], places: dict[str, tuple[int, int]]
) -> dict[str, Any]:
    shift = sum(len(marker_of(cite, places)) for position, cite in inserts if position <= show.start)
    return {
        "type": "file_path",
        "text": text[show.start : show.end],
        "start_index": show.start + shift,
        "end_index": show.end + shift,
        "file_path": {"file_id": show.file.file_id},
    }
