"""The emulator, which starts its sandbox and loads its index at the first request that needs them, not beforehand."""

from typing import Any

from local.openai_emulator import server
from local.openai_emulator.__main__ import run

if __name__ == "__main__":
    create_app = server.create_app

    def cold(*arguments: Any, **options: Any) -> Any:
        return create_app(*arguments, **{**options, "warm": False})

    server.create_app = cold
    run()
