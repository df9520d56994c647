"""Runs a `function_app.py` on this machine against Azurite, as the Azure Functions host does in the cloud.

`python -m local.functions_host --app FOLDER --port 7071 --access-log FILE`, or `async with Host(FOLDER, ...)`.
Covers HTTP, queue, blob (both sources), timer and Event Grid triggers, blob inputs, HTTP, queue and blob outputs.
Any other binding is refused at start.
"""

from local.functions_host.errors import AppRefused, HostError, SettingMissing
from local.functions_host.events import EventQueue
from local.functions_host.host import Host
from local.functions_host.server import serving

__all__ = ["AppRefused", "EventQueue", "Host", "HostError", "SettingMissing", "serving"]
