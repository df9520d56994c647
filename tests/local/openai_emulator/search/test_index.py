import asyncio
import json
import sqlite3
import threading

import pytest

from local.openai_emulator.search import index as index_module
from local.openai_emulator.search import tables, tokens
from local.openai_emulator.search.entries import Entries, StoreCache
from local.openai_emulator.search.index import Index
from local.openai_emulator.search.parsers import ParseError

TEXTS = {
    "gateway.md": "# Gateway\n\nThe gateway restarts when the watchdog timer expires after ninety seconds.",
    "leave.md": "# Leave\n\nEvery employee has thirty days of paid vacation a year; unused days expire in March.",
    "kitchen.md": "# Kitchen\n\nThe coffee machine is cleaned on Fridays. Descale it with citric acid.",
    "chinese.txt": "北京的秋天非常美丽。人工智能正在改变世界，向量检索与关键词检索各有所长。",
    "accents.txt": "Le café du coin sert une crème brûlée naïve.",
}


@pytest.fixture
async def index():
    index = Index(None)
    yield index
    await index.close()


@pytest.fixture
def add(index, tmp_path):
    async def add(store_id, filename, text=None, *, file_id=None, attributes=None, **options):
        path = tmp_path / filename
        path.write_text(TEXTS[filename] if text is None else text, encoding="utf-8")
        return await index.add(
            store_id,
            file_id or f"file-{filename}",
            path=path,
            filename=filename,
            attributes=attributes or {},
            **options,
        )

    return add


class Held:
    """A function that waits at a barrier while it is held."""

    def __init__(self, inner):
        self._inner = inner
        self._entered, self._go, self._left = threading.Event(), threading.Event(), threading.Event()
        self._go.set()

    def __call__(self, *args, **named):
        self._left.clear()
        self._entered.set()
        assert self._go.wait(60)
        try:
            return self._inner(*args, **named)
        finally:
            self._left.set()

    def hold(self):
        self._entered.clear()
        self._go.clear()

    def release(self):
        self._go.set()

    async def entered(self):
        assert await asyncio.to_thread(self._entered.wait, 60)

    async def left(self):
        assert await asyncio.to_thread(self._left.wait, 60)


@pytest.fixture
def held_parser(index, monkeypatch):
    held = Held(index._parsers.parse)
    monkeypatch.setattr(index._parsers, "parse", held)
    yield held
    held.release()


@pytest.fixture
def held_changes(index, monkeypatch):
    held = Held(index._delete)
    monkeypatch.setattr(index, "_delete", held)
    yield held
    held.release()


async def names(index, query, stores=("vs_a",), **options):
    return [passage.filename for passage in await index.search(stores, [query], **options)]


@pytest.mark.parametrize(
    ("query", "filename"),
    [
        ("When does the gateway restart?", "gateway.md"),
        ("how many vacation days do employees get", "leave.md"),
        ("cleaning the coffee machine", "kitchen.md"),
        ("关键词检索", "chinese.txt"),
        ("creme brulee", "accents.txt"),
        ("CAFÉ", "accents.txt"),
    ],
)
async def test_the_most_relevant_file_comes_first(index, add, query, filename):
    for name in TEXTS:
        await add("vs_a", name)
    passages = await index.search(["vs_a"], [query])
    assert passages[0].filename == filename
    assert passages[0].score > 0.6
    assert [p.score for p in passages] == sorted((p.score for p in passages), reverse=True)
    assert all(0 <= p.score <= 1 for p in passages)


async def test_scores_are_low_when_no_file_is_relevant(index, add):
    for name in TEXTS:
        await add("vs_a", name)
    strange = await index.search(["vs_a"], ["What is the capital of Mongolia?"])
    assert max((passage.score for passage in strange), default=0) < 0.3
    assert await index.search(["vs_a"], ["What is the capital of Mongolia?"], score_threshold=0.3) == []


@pytest.mark.parametrize("text", ["{}", "---", "\U0001f600", "...\n\n***", "[[], {}]", "\u200b"], ids=ascii)
@pytest.mark.parametrize("query", ["What is the door code?", "???", "\U0001f600"], ids=ascii)
async def test_a_store_without_a_word_can_be_searched(index, add, text, query):
    await add("vs_a", "nothing.md", text)
    found = await index.search(["vs_a"], [query])
    assert all(0 <= passage.score <= 1 for passage in found)
    await add("vs_a", "words.md", "The door code is 7315.")
    assert "words.md" in await names(index, "door code")


async def test_several_queries_are_fused(index, add):
    for name in TEXTS:
        await add("vs_a", name)
    passages = await index.search(["vs_a"], ["watchdog timer", "unused vacation days"], limit=2)
    assert {passage.filename for passage in passages} == {"gateway.md", "leave.md"}


async def test_stores_are_kept_apart_and_searched_together(index, add):
    await add("vs_a", "gateway.md")
    await add("vs_b", "leave.md")
    assert await names(index, "gateway vacation", ["vs_a"]) == ["gateway.md"]
    assert set(await names(index, "gateway vacation", ["vs_a", "vs_b"])) == {"gateway.md", "leave.md"}
    assert await names(index, "gateway", ["vs_none"]) == []


async def test_filters_select_files(index, add):
    await add("vs_a", "gateway.md", attributes={"team": "ops"})
    await add("vs_a", "leave.md", attributes={"team": "hr"})
    ops = {"type": "eq", "key": "team", "value": "ops"}
    assert await names(index, "vacation days", filters=ops) == ["gateway.md"]
    await index.update_attributes("vs_a", "file-leave.md", {"team": "ops"})
    found = await index.search(["vs_a"], ["vacation days"], filters=ops)
    assert found[0].attributes == {"team": "ops"}
    assert found[0].filename == "leave.md"
    with pytest.raises(ValueError, match="type"):
        await index.search(["vs_a"], ["x"], filters={"key": "team"})


@pytest.mark.parametrize(
    "query", ['"', "AND OR NOT", "a* NEAR(b) ^c", "store : s1", "'; DROP TABLE chunks; --", "\x00", "_", "🎉", "the"]
)
async def test_no_query_is_an_error(index, add, query):
    await add("vs_a", "gateway.md")
    assert len(await names(index, query)) <= 1


async def test_a_file_added_again_replaces_itself(index, add):
    await add("vs_a", "note.txt", "The old secret is alpha.")
    await add("vs_a", "note.txt", "The new secret is omega.")
    assert [chunk.text for chunk in await index.chunks("vs_a", "file-note.txt")] == ["The new secret is omega."]
    assert [passage.text for passage in await index.search(["vs_a"], ["secret"])] == ["The new secret is omega."]


async def test_a_failed_file_leaves_the_old_version(index, add):
    await add("vs_a", "note.txt", "The old secret is alpha.")
    with pytest.raises(ParseError) as caught:
        await add("vs_a", "note.txt", "   ")
    assert caught.value.code == "invalid_file"
    assert len(await index.chunks("vs_a", "file-note.txt")) == 1


async def test_remove_leaves_nothing(tmp_path):
    file = tmp_path / "index.sqlite"
    index = Index(file)
    for store in ("vs_a", "vs_b"):
        for name in ("gateway.md", "leave.md"):
            path = tmp_path / name
            path.write_text(TEXTS[name])
            await index.add(store, name, path=path, filename=name, attributes={})
    await names(index, "gateway")  # loads the vectors into the cache
    await index.remove("vs_a", "gateway.md")
    await index.remove("vs_a", "never-there")
    assert await names(index, "gateway watchdog") == ["leave.md"]
    await index.remove_store("vs_a")
    await index.remove_store("vs_b")
    assert await names(index, "gateway", ["vs_a", "vs_b"]) == []
    await index.close()
    database = sqlite3.connect(file)
    tables = ("stores", "files", "chunks", "entries", "segments", "postings")
    counts = [database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables]
    database.close()
    assert counts == [0] * 6


async def test_the_index_is_complete_after_reopening(tmp_path):
    path = tmp_path / "gateway.md"
    path.write_text(TEXTS["gateway.md"])
    first = Index(tmp_path / "index.sqlite")
    await first.add("vs_a", "file-1", path=path, filename="gateway.md", attributes={"team": "ops"})
    before = await first.search(["vs_a"], ["watchdog"])
    await first.close()
    second = Index(tmp_path / "index.sqlite")
    assert await second.search(["vs_a"], ["watchdog"]) == before
    assert before[0].attributes == {"team": "ops"}
    await second.close()


async def removed_file(index):
    await index.remove("vs_a", "file-gateway.md")


async def removed_store(index):
    await index.remove_store("vs_a")


async def nothing_more(_):
    """That the call which adds is cancelled is enough."""


@pytest.mark.parametrize(
    ("cancel", "remove"),
    [
        (False, removed_file),
        (True, removed_file),
        (False, removed_store),
        (True, removed_store),
        (True, nothing_more),
    ],
)
async def test_a_file_removed_while_it_is_parsed_stays_removed(index, add, held_parser, cancel, remove):
    await add("vs_b", "gateway.md")  # another store that shares the file
    held_parser.hold()
    adding = asyncio.create_task(add("vs_a", "gateway.md"))
    await held_parser.entered()
    if cancel:
        adding.cancel()
        await asyncio.wait([adding])
    await remove(index)
    held_parser.release()
    await asyncio.wait([adding])
    await held_parser.left()
    await index.remove("vs_a", "never-there")  # changes are made in order: all earlier ones are done
    assert await index.chunks("vs_a", "file-gateway.md") == []
    assert await names(index, "gateway watchdog") == []
    assert await names(index, "gateway watchdog", ["vs_b"]) == ["gateway.md"]


async def test_a_file_added_again_while_its_removal_waits_stays(index, add, held_changes):
    await add("vs_a", "gateway.md", "The old gateway.")
    held_changes.hold()
    removing = asyncio.create_task(index.remove("vs_a", "file-gateway.md"))
    await held_changes.entered()
    adding = asyncio.create_task(add("vs_a", "gateway.md", "The new gateway."))
    updating = asyncio.create_task(index.update_attributes("vs_a", "file-gateway.md", {"team": "ops"}))
    await asyncio.sleep(0)
    held_changes.release()
    await asyncio.gather(removing, adding, updating)
    found = await index.search(["vs_a"], ["gateway"])
    assert [(passage.text, passage.attributes) for passage in found] == [("The new gateway.", {"team": "ops"})]


async def test_a_search_does_not_find_the_chunk_that_follows_a_removed_one(index, add, monkeypatch):
    """Between its two steps a search holds ids of chunks, which another store's file must not get."""
    await add("vs_a", "gateway.md")
    cosines = Entries.cosines
    at_barrier, go = threading.Event(), threading.Event()

    def held(entries, target):
        at_barrier.set()
        assert go.wait(60)
        return cosines(entries, target)

    monkeypatch.setattr(Entries, "cosines", held)
    searching = asyncio.create_task(names(index, "gateway watchdog"))
    assert await asyncio.to_thread(at_barrier.wait, 60)
    await index.remove("vs_a", "file-gateway.md")
    await add("vs_b", "kitchen.md")
    go.set()
    assert await searching == []


async def test_what_the_store_does_not_have_is_removed_at_the_start(tmp_path, add):
    file = tmp_path / "index.sqlite"
    path = tmp_path / "gateway.md"
    path.write_text(TEXTS["gateway.md"])
    index = Index(file)
    for store, name in (("vs_a", "kept"), ("vs_a", "lost"), ("vs_b", "lost")):
        await index.add(store, name, path=path, filename=f"{name}.md", attributes={})
    await index.close()
    index = Index(file)
    index.keep_only({("vs_a", "kept"), ("vs_a", "never-there")})
    assert await names(index, "gateway", ["vs_a", "vs_b"]) == ["kept.md"]
    await index.close()


async def test_many_files_at_once(index, add):
    await asyncio.gather(*(add("vs_a", f"{n}.txt", f"Machine number {n} stands in hall {n}.") for n in range(40)))
    assert await names(index, "machine number 17", limit=1) == ["17.txt"]
    assert len(await names(index, "machine", limit=50)) == 40


async def test_chunk_sizes_as_asked(index, add):
    await add("vs_a", "long.txt", "A sentence about nothing. " * 500, max_tokens=120, overlap_tokens=30)
    chunks = await index.chunks("vs_a", "file-long.txt")
    assert len(chunks) > 20
    assert all(chunk.tokens == tokens.count(chunk.text) <= 120 for chunk in chunks)


async def test_usage_bytes_grow_with_the_text(index, add):
    small = await add("vs_a", "a.txt", "One line.")
    large = await add("vs_a", "b.txt", "One line of many. " * 2000)
    assert 0 < small < large / 10


async def test_stores_dropped_from_the_cache_are_loaded_again(index, add):
    index._cache = StoreCache(max_bytes=1)
    for n in range(4):
        await add(f"vs_{n}", f"{n}.txt", f"Machine number {n} stands here.")
    for n in (0, 1, 2, 3, 0, 2):
        assert await names(index, f"machine {n}", [f"vs_{n}"]) == [f"{n}.txt"]
    assert len(index._cache._stores) == 1


async def test_the_index_serves_a_second_event_loop(index, add):
    await add("vs_a", "gateway.md")
    found = await asyncio.to_thread(lambda: asyncio.run(names(index, "gateway")))
    assert found == ["gateway.md"]


async def test_json_is_searchable(index, add):
    await add("vs_a", "limits.json", json.dumps({"limits": [{"name": "cpu", "alert_percent": 85}] * 50}))
    assert await names(index, "cpu alert percent") != []


async def added(index, folder, numbers, *, store="vs_a"):
    for number in numbers:
        path = folder / f"{number}.txt"
        path.write_text(f"Machine number {number} of type{number}x stands in hall {number % 7}.")
        await index.add(store, f"file-{number}", path=path, filename=path.name, attributes={})


@pytest.mark.parametrize("searched_before", [False, True])
async def test_segments_change_nothing_that_is_found(tmp_path, monkeypatch, searched_before):
    """Each file is found, and no removed one, whether its words are in a segment, wait for one, or wait again."""
    monkeypatch.setattr(tables, "SEGMENT_CHUNKS", 5)
    index = Index(tmp_path / "index.sqlite")
    left = set(range(23))
    await added(index, tmp_path, left)
    await added(index, tmp_path, [1, 2, 3], store="vs_b")
    if searched_before:
        await names(index, "machine")
    for removed in (4, 0, 1, 2, 3, 22, 9, 5, 21):
        await index.remove("vs_a", f"file-{removed}")
        left.discard(removed)
        if searched_before:
            assert set(await names(index, "machine", limit=50)) == {f"{number}.txt" for number in left}
    await added(index, tmp_path, [4, 30, 31])
    left |= {4, 30, 31}
    for again in range(2):
        assert set(await names(index, "machine", limit=50)) == {f"{number}.txt" for number in left}
        for number in left:
            assert (await names(index, f"type{number}x"))[0] == f"{number}.txt"
        assert set(await names(index, "machine", ["vs_b"])) == {"1.txt", "2.txt", "3.txt"}
        await index.close()
        if not again:
            index = Index(tmp_path / "index.sqlite")


async def test_a_large_store_finds_the_one_chunk_that_is_meant(tmp_path, monkeypatch):
    """Estimates choose which chunks are ranked exactly."""
    monkeypatch.setattr(index_module, "ESTIMATED", 20)
    monkeypatch.setattr(index_module, "CANDIDATES", 5)
    index = Index(None)
    await added(index, tmp_path, range(60))
    for number in (0, 17, 59):
        passages = await index.search(["vs_a"], [f"type{number}x machine"], limit=50)
        assert passages[0].filename == f"{number}.txt"
        assert len(passages) == 5
    only = {"type": "eq", "key": "team", "value": "ops"}
    await index.update_attributes("vs_a", "file-8", {"team": "ops"})
    assert await names(index, "machine", filters=only) == ["8.txt"]
    await index.close()


async def test_an_index_of_an_earlier_version_is_found_whole(tmp_path):
    file = tmp_path / "index.sqlite"
    index = Index(file)
    await added(index, tmp_path, range(3))
    before = await index.search(["vs_a"], ["machine type2x"])
    await index.close()
    database = sqlite3.connect(file)
    database.executescript("CREATE VIRTUAL TABLE keywords USING fts5 (store, text, tokenize = 'porter unicode61')")
    database.execute("INSERT INTO keywords (rowid, store, text) SELECT chunk_id, 's1', words FROM entries")
    database.executescript("DROP TABLE entries; DROP TABLE segments; DROP TABLE postings")
    database.commit()
    database.close()
    for _ in range(2):
        index = Index(file)
        assert await index.search(["vs_a"], ["machine type2x"]) == before
        await index.close()
