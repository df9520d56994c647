"""Fakes of storage, of the model service and of callback receivers, for tests of crashes and of concurrent instances.

Every call of a fake goes through its `Outside`: there a test can end the process before or after the n-th call, run
another instance in between, or make a call fail. Each fake passes the same contract tests as the real adapter.
"""

from tests.fakes.outside import Clock, Crash, Fault, Outside
from tests.fakes.receiver import FakeSender, Post
from tests.fakes.service import FakeEngine, FakeVectorStores
from tests.fakes.storage import InMemoryBlobs, InMemoryQueue, Sent

__all__ = [
    "Clock",
    "Crash",
    "FakeEngine",
    "FakeSender",
    "FakeVectorStores",
    "Fault",
    "InMemoryBlobs",
    "InMemoryQueue",
    "Outside",
    "Post",
    "Sent",
]
