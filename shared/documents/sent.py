"""What an upload has sent so far, for the record of the document."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from shared.engines.stores import IndexState
from shared.models.documents import Version


class Sent:
    """What is at the service so far of a version that is being uploaded."""

    def __init__(self, version: Version) -> None:
        self.version = version  # with the files that are known, also after an error
        self.state = IndexState(status="in_progress")  # of the last part
        self.unclear = False  # an upload got no answer: there may be a file more

    def left(self, now: datetime) -> Version:
        """The version as a failed upload leaves it."""
        return replace(
            self.version,
            sent_at=self.version.sent_at if self.unclear or self.version.file_ids else None,
            sending_until=now if self.unclear else None,
        )

    def complete(self, now: datetime) -> Version:
        return replace(self.version, sending_until=None, sent_until=now, upload=None)
