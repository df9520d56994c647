import pytest

from local.openai_emulator.search.filters import compile_filter

FILE = {"year": 2024.0, "team": "ops", "draft": False}


def compare(kind, key, value):
    return {"type": kind, "key": key, "value": value}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (compare("eq", "team", "ops"), True),
        (compare("eq", "team", "dev"), False),
        (compare("eq", "year", 2024), True),
        (compare("eq", "draft", False), True),
        (compare("eq", "draft", 0), False),
        (compare("eq", "missing", "x"), False),
        (compare("ne", "team", "dev"), True),
        (compare("ne", "team", "ops"), False),
        (compare("ne", "missing", "x"), True),
        (compare("ne", "year", "2024"), True),
        (compare("gt", "year", 2023), True),
        (compare("gt", "year", 2024), False),
        (compare("gte", "year", 2024), True),
        (compare("lt", "year", 2025), True),
        (compare("lte", "year", 2023), False),
        (compare("gt", "team", 5), False),
        (compare("gt", "team", "dev"), True),
        (compare("in", "team", ["dev", "ops"]), True),
        (compare("in", "team", []), False),
        (compare("in", "draft", [0]), False),
        (compare("nin", "team", ["dev"]), True),
        (compare("nin", "team", ["ops"]), False),
        (compare("nin", "missing", ["x"]), True),
        ({"type": "and", "filters": [compare("eq", "team", "ops"), compare("gt", "year", 2020)]}, True),
        ({"type": "and", "filters": [compare("eq", "team", "ops"), compare("gt", "year", 2030)]}, False),
        ({"type": "or", "filters": [compare("eq", "team", "dev"), compare("gt", "year", 2020)]}, True),
        (
            {
                "type": "or",
                "filters": [compare("eq", "team", "dev"), {"type": "and", "filters": [compare("eq", "draft", True)]}],
            },
            False,
        ),
    ],
    ids=str,
)
def test_decides_which_files_match(filters, expected):
    assert compile_filter(filters)(FILE) is expected


def deep(levels):
    node = compare("eq", "team", "ops")
    for _ in range(levels):
        node = {"type": "and", "filters": [node]}
    return node


@pytest.mark.parametrize(
    ("filters", "word"),
    [
        ([], "object"),
        ({}, "type"),
        (compare("like", "team", "o%"), "like"),
        ({"type": "eq", "value": 1}, "key"),
        ({"type": "eq", "key": "team"}, "value"),
        (compare("eq", "team", None), "string"),
        (compare("gt", "draft", True), "boolean"),
        (compare("in", "team", "ops"), "list"),
        (compare("in", "team", [None]), "list"),
        ({"type": "and"}, "filters"),
        ({"type": "or", "filters": []}, "filters"),
        (deep(50), "deeper"),
        ({"type": ["eq"], "key": "team", "value": 1}, "type"),
    ],
    ids=str,
)
def test_a_malformed_filter_is_refused_with_a_sentence(filters, word):
    with pytest.raises(ValueError, match=word):
        compile_filter(filters)
