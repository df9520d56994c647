"""Opens the page in a browser, where somebody sees it: on the desktop of the machine that runs the stack."""

import sys
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path

CONTAINER_FILES = (Path("/.dockerenv"), Path("/run/.containerenv"))
ELSEWHERE = ("CI", "SSH_CONNECTION", "SSH_CLIENT", "SSH_TTY", "CODESPACES", "REMOTE_CONTAINERS", "container")
NO_WORDS = {"0", "no", "off", "false"}
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
WITHOUT_DISPLAY = ("darwin", "win32")  # their desktops need no variable


def is_wanted(
    switch: bool | None,
    environ: Mapping[str, str],
    *,
    is_terminal: bool,
    in_container: bool,
    platform: str = sys.platform,
) -> bool:
    """Whether to open the page.

    Args:
        switch: `--open` or `--no-open`; None: neither. Then `OPEN_PAGE=0` in the environment says no, and the rest
            decides: a person at a terminal, on a desktop, not over ssh, not in CI or in a container.
    """
    if switch is not None:
        return switch
    if environ.get("OPEN_PAGE", "").lower() in NO_WORDS or not is_terminal or in_container:
        return False
    if any(environ.get(name) for name in ELSEWHERE):
        return False
    return platform in WITHOUT_DISPLAY or any(environ.get(name) for name in DISPLAYS)


def in_container() -> bool:
    """Whether this process runs in a container, as far as it can see."""
    return any(path.exists() for path in CONTAINER_FILES)


def open_page(url: str, find: Callable[[], webbrowser.BaseBrowser] = webbrowser.get) -> bool:
    """Open a URL; return whether a browser took it. A browser of the terminal is not used: the logs are shown there."""
    try:
        browser = find()
        shows_text = type(browser) is webbrowser.GenericBrowser
        return not shows_text and browser.open(url)
    except (webbrowser.Error, OSError):
        return False
