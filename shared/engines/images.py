"""Charts from the outputs of code interpreter, where the service refuses the files of containers to tokens.

Source: https://github.com/Azure/azure-sdk-for-net/issues/54068
"""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from urllib.parse import unquote_to_bytes

from openai.types.responses import ResponseCodeInterpreterToolCall

from shared.engines.base import MadeFile
from shared.errors import ServiceError

IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".webp")


def with_images(
    made: Sequence[MadeFile], calls: Iterable[ResponseCodeInterpreterToolCall]
) -> tuple[tuple[MadeFile, ...], tuple[MadeFile, ...]]:
    """The files with the image that stands for each, and the images that no file stands for.

    The outputs do not name their files. So a container's images are taken for its files, in their order, only when
    there are as many of the one as of the other.
    """
    shown: defaultdict[str, list[str]] = defaultdict(list)
    for call in calls:
        shown[call.container_id] += [output.url for output in call.outputs or () if output.type == "image"]
    named: defaultdict[str, list[str]] = defaultdict(list)
    for file in made:
        if file.filename.lower().endswith(IMAGES) and file.file_id not in named[file.container_id]:
            named[file.container_id].append(file.file_id)
    urls = {
        (container_id, file_id): url
        for container_id, file_ids in named.items()
        if len(file_ids) == len(shown[container_id])
        for file_id, url in zip(file_ids, shown[container_id], strict=True)
    }
    others = tuple(
        MadeFile(container_id=container_id, file_id="", filename=f"chart-{n}.png", url=url)
        for container_id, found in shown.items()
        if len(named[container_id]) != len(found)
        for n, url in enumerate(found, start=1)
    )
    return tuple(replace(file, url=urls.get((file.container_id, file.file_id))) for file in made), others


def content_of(url: str) -> bytes:
    """The content of a `data:` URL. No other URL is fetched: it could name any host.

    Raises:
        ServiceError: it is another URL, or damaged.
    """
    head, comma, content = url.partition(",")
    if not head.startswith("data:image/") or not comma:
        raise ServiceError("The service gave no content for this image.", code="image_not_given")
    try:
        return base64.b64decode(content, validate=True) if head.endswith(";base64") else unquote_to_bytes(content)
    except binascii.Error as exc:
        raise ServiceError("The image of the service is damaged.", code="image_not_given") from exc
