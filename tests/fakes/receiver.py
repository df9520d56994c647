"""A receiver of callbacks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.errors import BadRequest, ServiceBusy


@dataclass(frozen=True)
class Post:
    url: str
    body: bytes
    headers: dict[str, str]


@dataclass
class FakeSender:
    """Posts are answered with the items of `answers` in order, then with 200."""

    answers: list[int | BadRequest | ServiceBusy] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    inside: set[str] = field(default_factory=set)  # hosts with an address that is not allowed

    async def check_host(self, host: str) -> None:
        if host in self.inside:
            raise BadRequest("Not public.", code="callback_not_allowed")

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        self.posts.append(Post(url, body, dict(headers)))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, int):
            return answer
        raise answer
