"""Runs a `function_app.py` on this machine against Azurite, as the Azure Functions host does in the cloud.

`python -m local.functions_host --app FOLDER --port 7071 --access-log FILE`, or `async with Host(FOLDER, ...)`.
Covers HTTP, queue, blob (both sources), timer and Event Grid triggers, blob inputs, HTTP, queue and blob outputs.
Any other binding is refused at start.
"""

from local.functions_host.errors import AppRefused, HostError, SettingMissing
from local.functions_host.host import Host
from local.functions_host.http.server import serving
from local.functions_host.storage_events.events import EventQueue

__all__ = ["AppRefused", "EventQueue", "Host", "HostError", "SettingMissing", "serving"]
