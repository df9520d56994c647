"""Folders and files that only their user may read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from local.private import private_file, private_folder


def rights(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_folder_and_file_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        folder = private_folder(tmp_path / "state" / "logs")
        file = private_file(folder / "a.log")
    finally:
        os.umask(before)
    assert (rights(folder), rights(file)) == (0o700, 0o600)


def test_an_open_folder_is_mended_with_all_in_it(tmp_path: Path) -> None:
    """What a link points to stays as it is."""
    folder, elsewhere = tmp_path / "state", tmp_path / "elsewhere"
    (folder / "data" / "deep").mkdir(parents=True)
    for path in (folder / "stack.json", folder / "data" / "deep" / "a.txt", elsewhere):
        path.write_text("a")
        path.chmod(0o644)
    (folder / "run.sh").write_text("#!/bin/sh")
    (folder / "run.sh").chmod(0o755)
    (folder / "link").symlink_to(elsewhere)
    for path in (folder, folder / "data", folder / "data" / "deep"):
        path.chmod(0o755)
    private_folder(folder)
    assert rights(folder) == rights(folder / "data") == rights(folder / "data" / "deep") == 0o700
    assert rights(folder / "stack.json") == rights(folder / "data" / "deep" / "a.txt") == 0o600
    assert rights(folder / "run.sh") == 0o700
    assert rights(elsewhere) == 0o644


def test_an_existing_file_is_mended_and_keeps_its_content(tmp_path: Path) -> None:
    path = tmp_path / "stack.json"
    path.write_text("kept")
    path.chmod(0o666)
    assert private_file(path).read_text() == "kept"
    assert rights(path) == 0o600


@pytest.mark.skipif(os.geteuid() == 0, reason="root may change every folder")
def test_a_folder_of_another_user_is_an_error() -> None:
    from local.errors import LocalError

    with pytest.raises(LocalError) as caught:
        private_folder(Path("/usr"))
    assert "chown" in caught.value.advice
