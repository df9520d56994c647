"""`up` opens the page only where somebody sees it."""

from __future__ import annotations

import webbrowser

import pytest

from local.browser import is_wanted, open_page

DESKTOP = {"DISPLAY": ":0"}


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        (DESKTOP, "linux", True),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", True),
        ({}, "linux", False),
        ({}, "darwin", True),
        ({}, "win32", True),
        ({"CI": "true"}, "darwin", False),
        ({**DESKTOP, "CI": "1"}, "linux", False),
        ({**DESKTOP, "SSH_CONNECTION": "1.2.3.4 5 6.7.8.9 22"}, "linux", False),
        ({"SSH_TTY": "/dev/pts/1"}, "darwin", False),
        ({**DESKTOP, "CODESPACES": "true"}, "linux", False),
        ({**DESKTOP, "REMOTE_CONTAINERS": "true"}, "linux", False),
        ({**DESKTOP, "container": "podman"}, "linux", False),
        ({**DESKTOP, "OPEN_PAGE": "0"}, "linux", False),
        ({**DESKTOP, "OPEN_PAGE": "No"}, "linux", False),
        ({**DESKTOP, "OPEN_PAGE": "1"}, "linux", True),
        ({**DESKTOP, "OPEN_PAGE": ""}, "linux", True),
    ],
)
def test_only_a_desktop_gets_the_page(environ: dict[str, str], platform: str, expected: bool) -> None:
    def wanted(switch: bool | None = None, *, is_terminal: bool = True, in_container: bool = False) -> bool:
        return is_wanted(switch, environ, is_terminal=is_terminal, in_container=in_container, platform=platform)

    assert wanted() is expected
    assert wanted(is_terminal=False) is False
    assert wanted(in_container=True) is False
    assert (wanted(True), wanted(False)) == (True, False)


class Browser(webbrowser.BaseBrowser):
    def __init__(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.opened: list[str] = []

    def open(self, url: str, new: int = 0, autoraise: bool = True) -> bool:
        if self.fault:
            raise self.fault
        self.opened.append(url)
        return True


def test_a_browser_opens_it() -> None:
    browser = Browser()
    assert open_page("http://127.0.0.1:7071/", lambda: browser)
    assert browser.opened == ["http://127.0.0.1:7071/"]


def test_a_browser_of_the_terminal_is_not_used() -> None:
    assert open_page("http://x/", lambda: webbrowser.GenericBrowser("lynx")) is False


@pytest.mark.parametrize("fault", [webbrowser.Error("none"), OSError("gone")])
def test_without_a_browser_the_stack_starts_all_the_same(fault: Exception) -> None:
    def none() -> webbrowser.BaseBrowser:
        raise fault

    assert open_page("http://x/", none) is False
    assert open_page("http://x/", lambda: Browser(fault)) is False
