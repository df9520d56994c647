"""A local Azure Functions host for Python apps: runs a `function_app.py` with Azurite as storage.

Start it with `python -m local.functions_host --app FOLDER --port 7071 --access-log FILE` or `async with Host(FOLDER)`.
It supports HTTP, queue, blob (both sources), timer and Event Grid triggers, blob inputs, and HTTP, queue and blob
outputs. An app with any other binding is rejected at start.
"""

from local.functions_host.errors import AppRefused, HostError, SettingMissing
from local.functions_host.host import Host
from local.functions_host.http.server import serving
from local.functions_host.storage_events.events import EventQueue

__all__ = ["AppRefused", "EventQueue", "Host", "HostError", "SettingMissing", "serving"]
