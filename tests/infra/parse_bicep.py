"""Parse Bicep files and print the list of their syntax trees as JSON. Runs in `.local/infra-tools`.

A `.bicepparam` file is parsed as Bicep after a small change: its `param` lines become `var` lines, which also assign.
"""

import json
import re
import sys
from pathlib import Path

from lark.exceptions import LarkError
from pycep import BicepParser


def main(paths: list[Path]) -> int:
    trees, parser = [], BicepParser()
    for path in paths:
        text = path.read_text()
        if path.suffix == ".bicepparam":
            text = re.sub(r"^param ", "var ", re.sub(r"^using .*$", "", text, flags=re.M), flags=re.M)
        try:
            trees.append(parser.parse(text=text))
        except LarkError as exc:
            sys.stderr.write(f"{path}: {str(exc).splitlines()[0]}\n")
            return 1
    sys.stdout.write(json.dumps(trees))
    return 0


if __name__ == "__main__":
    sys.exit(main([Path(path) for path in sys.argv[1:]]))
