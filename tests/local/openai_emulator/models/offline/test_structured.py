"""Answers in JSON by the built-in model: a field is filled from what is stated or computed; else null, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from local.openai_emulator.agent.conversation import Called, Prompt, Ran, Said, Searched, Toolbox
from local.openai_emulator.agent.model import Say, Search
from local.openai_emulator.models.offline.builtin import next_move
from local.openai_emulator.models.offline.functions import arguments_of
from local.openai_emulator.search.passage import Passage

GUIDE = """# Alert guide

The on-call engineer must acknowledge a page within 15 minutes. Escalation goes to Maria Lopez.
Remote maintenance is not allowed on Sundays. The retention of logs is 90 days.

| Metric | Warning | Critical |
|---|---|---|
| CPU usage | 75 % | 90 % |
| Disk usage | 80 % | 95 % |
"""
INVOICE = """Invoice number: INV-2041
Date: 14 February 2026
Customer: Contoso Ltd
Total: $1,250.50
Currency: USD
Paid: no
Tags: hardware, network and support

Items:
- Router
- Cable
"""
STRING, NUMBER, INTEGER, BOOLEAN = ({"type": kind} for kind in ("string", "number", "integer", "boolean"))


def obj(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}


def answered(question: str, schema: Mapping[str, Any] | None, *texts: str, events: tuple[Any, ...] = ()) -> Say:
    """The answer in a format, with texts as what file search found."""
    passages = tuple(
        Passage(file_id=f"file-{n}", filename=f"doc-{n}.md", text=text, score=0.9, page=n + 1)
        for n, text in enumerate(texts)
    )
    found = (Searched(queries=("q",), passages=passages),) if texts else ()
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    move = next_move(
        Prompt(
            model="m",
            instructions="",
            events=(Said(role="user", text=question), *found, *events),
            turn_starts_at=0,
            tools=Toolbox(file_search=bool(texts)),
            response_format=wanted if schema is not None else {"type": "json_object"},
        )
    )
    assert isinstance(move, Say)
    return move


def filled(question: str, schema: Mapping[str, Any], *texts: str, events: tuple[Any, ...] = ()) -> Any:
    say = answered(question, schema, *texts, events=events)
    assert not say.refused, say.text
    return json.loads(say.text)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ({"invoice_number": STRING}, "INV-2041"),
        ({"invoiceNumber": STRING}, "INV-2041"),
        ({"date": {"type": "string", "format": "date"}}, "2026-02-14"),
        ({"customer": STRING}, "Contoso Ltd"),
        ({"total": NUMBER}, 1250.5),
        ({"total_amount": NUMBER}, 1250.5),
        ({"paid": BOOLEAN}, False),
        ({"is_paid": BOOLEAN}, False),
        ({"currency": {"type": "string", "enum": ["EUR", "USD"]}}, "USD"),
        ({"tags": {"type": "array", "items": STRING}}, ["hardware", "network", "support"]),
        ({"tags": {"type": "array", "items": {"enum": ["support", "hardware", "software"]}}}, ["hardware", "support"]),
        ({"items": {"type": "array", "items": STRING}}, ["Router", "Cable"]),
        ({"x": {"type": "string", "description": "The customer"}}, "Contoso Ltd"),
        ({"number": or_null({"type": "string", "pattern": "^INV-[0-9]+$"})}, None),  # patterns are not checked
        ({"kind": {"const": "invoice"}}, "invoice"),
        ({"purchase_order": or_null(STRING)}, None),
        ({"purchase_order": {"type": ["string", "null"]}}, None),
        ({"invoice": obj(number=STRING, total=NUMBER)}, {"number": "INV-2041", "total": 1250.5}),
        ({"shipping": or_null(obj(carrier=STRING, weight=NUMBER))}, None),
    ],
    ids=str,
)
def test_a_field_is_filled_from_labelled_values(field: dict[str, Any], value: Any) -> None:
    assert filled("Extract the invoice.", obj(**field), INVOICE) == {next(iter(field)): value}


@pytest.mark.parametrize(
    ("question", "field", "value"),
    [
        ("What are the limits of the CPU?", {"critical": NUMBER}, 90),
        ("What are the limits of the disk?", {"warning_percent": INTEGER}, 80),
        ("What is the policy?", {"acknowledge_minutes": INTEGER}, 15),
        ("What is the policy?", {"acknowledge_seconds": INTEGER}, 900),
        ("How long are logs kept?", {"log_retention_days": INTEGER}, 90),
        ("Is it allowed?", {"remote_maintenance": BOOLEAN}, False),
        ("Which metric is critical at 95 %?", {"warning": NUMBER}, 80),
        ("Who gets the escalation?", {"escalation": STRING}, "Escalation goes to Maria Lopez."),
    ],
)
def test_a_field_is_filled_from_tables_and_sentences(question: str, field: dict[str, Any], value: Any) -> None:
    assert filled(question, obj(**field), GUIDE) == {next(iter(field)): value}


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("Contoso has 120 employees in 4 offices.", {"employees": INTEGER}, 120),
        ("Contoso has 120 employees in 4 offices.", {"office_count": INTEGER}, 4),
        ("The retention of 3 servers ends after 2 weeks.", {"retention_days": INTEGER}, 14),
        ("The customer must pay within 30 days.", {"customer_name": or_null(STRING)}, None),
        ("The owner of the service is Maria Lopez.", {"owner": STRING}, "Maria Lopez"),
        ("Approved requests need a form.", {"approved": or_null(BOOLEAN)}, None),
        ("Requests are approved if they have a form.", {"requests_approved": or_null(BOOLEAN)}, None),
        ("Parking is available.", {"parking_available": BOOLEAN}, True),
        ("It was signed on March 3rd, 2025 in Rome.", {"signed_date": STRING}, "2025-03-03"),
        ("Revenue was $1.2 million.", {"revenue": NUMBER}, 1_200_000),
        ("The team has three members.", {"members": INTEGER}, 3),
        ("Write to help@contoso.com for support.", {"support_email": STRING}, "help@contoso.com"),
        ("The speed is 5 km.", {"duration_s": or_null(NUMBER)}, None),
    ],
)
def test_of_several_things_in_a_sentence_the_right_one_is_taken(text: str, field: dict[str, Any], value: Any) -> None:
    assert filled("What does it say?", obj(**field), text) == {next(iter(field)): value}


def test_the_question_chooses_the_document() -> None:
    texts = ("Invoice Berlin\n\nTotal: 10", "Invoice Rome\n\nTotal: 20")
    assert filled("What is the total of the Rome invoice?", obj(total=NUMBER), *texts) == {"total": 20}
    assert answered("What is the total?", obj(total=NUMBER), *texts).refused


def test_an_array_of_objects_comes_from_the_rows_of_a_table() -> None:
    schema = obj(metrics={"type": "array", "items": obj(metric=STRING, warning=NUMBER, critical=NUMBER)})
    rows = [
        {"metric": "CPU usage", "warning": 75, "critical": 90},
        {"metric": "Disk usage", "warning": 80, "critical": 95},
    ]
    assert filled("List all thresholds.", schema, GUIDE) == {"metrics": rows}


def test_answer_and_sources_come_with_a_citation() -> None:
    schema = obj(answer=STRING, sources={"type": "array", "items": STRING}, answer_found=BOOLEAN, page=INTEGER)
    say = answered("How long is the retention of logs?", schema, GUIDE)
    assert json.loads(say.text) == {
        "answer": "The retention of logs is 90 days.",
        "sources": ["doc-0.md"],
        "answer_found": True,
        "page": 1,
    }
    assert [cite.file_id for cite in say.citations] == ["file-0"]


@pytest.mark.parametrize(
    ("field", "why"),
    [
        ({"purchase_order": STRING}, "`purchase_order`: nothing that was found states it"),
        ({"confidence": NUMBER}, "`confidence`"),
        ({"critical": NUMBER}, "different values were found: 90 and 95"),
        ({"approved": BOOLEAN}, "`approved`"),
        ({"severity": {"enum": ["low", "high"]}}, "`severity`"),
        ({"authors": {"type": "array", "items": STRING}}, "`authors`"),
        ({"owner": obj(name=STRING, email=STRING)}, "`owner.name`"),
        ({"retention_ms": {"type": "integer", "maximum": 10}}, "`retention_ms`"),
    ],
    ids=str,
)
def test_what_is_not_stated_is_refused_and_named(field: dict[str, Any], why: str) -> None:
    say = answered("What does the guide say?", obj(**field), GUIDE)
    assert say.refused
    assert why in say.text


def test_what_is_not_required_is_left_out() -> None:
    schema = {"type": "object", "properties": {"total": NUMBER, "carrier": STRING}, "required": ["total"]}
    assert filled("Extract it.", schema, INVOICE) == {"total": 1250.5}


def test_the_text_of_the_user_is_a_source_but_a_question_states_nothing() -> None:
    text = "Extract the ticket.\nName: Ann Lee\nPriority: high"
    schema = obj(name=STRING, priority={"enum": ["low", "high"]})
    assert filled(text, schema) == {"name": "Ann Lee", "priority": "high"}
    assert answered("Is remote work allowed?", obj(remote_work_allowed=BOOLEAN)).refused


def test_outputs_of_functions_are_a_source() -> None:
    called = Called(call_id="c", name="get_weather", arguments="{}", output='{"city": "Paris", "temperature": 21.5}')
    schema = obj(city=STRING, temperature=NUMBER, humidity=or_null(NUMBER))
    assert filled("What is the weather?", schema, events=(called,)) == {
        "city": "Paris",
        "temperature": 21.5,
        "humidity": None,
    }


def test_references_and_recursion_are_understood() -> None:
    node = obj(name=STRING, next=or_null({"$ref": "#/$defs/node"}))
    schema = {**obj(node={"$ref": "#/$defs/node"}), "$defs": {"node": node}}
    assert filled("Extract it.\nName: Ann", schema)["node"]["name"] == "Ann"


@pytest.mark.parametrize(
    "schema", [{}, {"type": "object"}, {"properties": 3}, {"$ref": "#"}, {"anyOf": []}, {"type": 7}]
)
def test_an_odd_schema_is_no_error(schema: dict[str, Any]) -> None:
    answered("What is it?", schema, GUIDE)


def test_the_names_of_the_fields_are_searched_for() -> None:
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": obj(invoiceNumber=STRING, due=STRING)}}
    asked = Said(role="user", text="Extract it.")
    prompt = Prompt(
        model="m", instructions="", events=(asked,), turn_starts_at=0,
        tools=Toolbox(file_search=True), response_format=wanted,
    )  # fmt: skip
    move = next_move(prompt)
    assert isinstance(move, Search)
    assert "invoice Number due" in move.queries


# ---- json_object -------------------------------------------------------------------------------------------------


def test_an_object_of_any_form_has_the_answer_and_its_sources() -> None:
    say = answered("How long is the retention of logs? Answer in JSON.", None, GUIDE)
    assert json.loads(say.text) == {"answer": "The retention of logs is 90 days.", "sources": ["doc-0.md"]}


def test_an_object_of_any_form_has_the_keys_that_the_caller_names() -> None:
    say = answered('Reply in JSON with the keys "customer", "total" and "carrier".', None, INVOICE)
    assert json.loads(say.text) == {"customer": "Contoso Ltd", "total": "$1,250.50", "carrier": None}


def test_an_object_of_any_form_says_that_there_is_no_answer() -> None:
    said = json.loads(answered("Who won the chess match? JSON please.", None, GUIDE).text)
    assert said["answer"] is None
    assert "do not say" in said["reason"]


def test_computed_figures_are_a_source() -> None:
    ran = Ran(code="", logs='{"results": [{"values": {"cpu": {"mean": 41.5}}, "rows": 8}]}')
    from local.openai_emulator.models.offline.structured.answers import in_json

    schema = obj(average_cpu=NUMBER, maximum_cpu=or_null(NUMBER))
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    prompt = Prompt(
        model="m", instructions="", events=(Said(role="user", text="What is the average CPU?"), ran), turn_starts_at=0,
        tools=Toolbox(), response_format=wanted,
    )  # fmt: skip
    say = in_json(Say(text="It is 41.5."), prompt, "What is the average CPU?", (), answered=True)
    assert json.loads(say.text) == {"average_cpu": 41.5, "maximum_cpu": None}


MACHINES = "# Alpha 3\n\nOwner: Rosa Klein\n\n# Beta 7\n\nThe Beta 7 is not certified.\n"
PHONES = "Acme phone: 111\n\nBeta phone: 222\n"


@pytest.mark.parametrize(
    ("question", "text", "field"),
    [
        ("Who is the owner of the Beta 7?", MACHINES, {"owner": STRING}),
        ("Is the Alpha 3 certified?", MACHINES, {"certified": BOOLEAN}),
        ("The capital of Spain is Madrid. What is the capital of France?", "", {"capital": STRING}),
        ("What is the total of INV-204 and INV-205?", "INV-204 total: 12\n\nINV-205 total: 13", {"total": NUMBER}),
        ("What is it?", "The age is not 34.", {"age": INTEGER}),
        ("What is it?", "The start date is not 2026-04-03.", {"start_date": STRING | {"format": "date"}}),
        ("What is it?", "The priority is not high.", {"priority": {"enum": ["high", "low"]}}),
        ("What is it?", "Priority: lower than high", {"priority": {"enum": ["high", "low"]}}),
        ("What is it?", "There is no discount of 15 %.", {"discount": NUMBER}),
        ("What is it?", "The service is hardly ever active.", {"active": BOOLEAN}),
        ("What is it?", "Active: n/a", {"active": BOOLEAN}),
        ("What is it?", "It moved from 2026-04-03 to 2026-05-03, the date.", {"date": STRING | {"format": "date"}}),
        ("What is it?", "There were 120 employees in 2020 and 150 in 2024.", {"employees": INTEGER}),
        ("What is it?", "The rate is between 5 and 10 percent.", {"rate": NUMBER}),
        ("What is it?", "Age: over 30", {"age": INTEGER}),
        ("What is it?", "We have fewer than 100 employees.", {"employees": INTEGER}),
        ("What is it?", "120 employees left the company.", {"employees": INTEGER}),
        ("What is it?", "Price: 20 EUR", {"price_usd": NUMBER}),
        ("What is it?", "There are two dozen employees.", {"employees": INTEGER}),
        ("What is it?", "Tags: a, b, c", {"tags": {"type": "array", "items": STRING, "maxItems": 2}}),
        ("What is the code?", f"Code: {'a' * 60}b", {"code": STRING | {"pattern": "^(a|aa)+$"}}),
        ("What is the code?", "Code: aa", {"code": STRING | {"pattern": "a{1,99999999999}"}}),
        ("What are the codes?", "Codes: aa, b", {"codes": {"type": "array", "items": STRING | {"pattern": "^c"}}}),
        ("What is it?", "The tags are not red and blue.", {"tags": {"type": "array", "items": STRING}}),
        ("What is it?", "Sizes: more than 3 or 4", {"sizes": {"type": "array", "items": INTEGER}}),
    ],
)
def test_what_the_sources_do_not_state_of_it_is_refused_by_its_name(
    question: str, text: str, field: dict[str, Any]
) -> None:
    say = answered(question, obj(**field), *([text] if text else []))
    assert say.refused, say.text
    assert f"`{next(iter(field))}`" in say.text


def test_a_value_of_one_thing_is_not_that_of_another() -> None:
    person = obj(name=STRING, city=or_null(STRING))
    text = "Extract the letter.\nSender name: Ann\nSender city: Graz\nReceiver name: Ben\n"
    assert filled(text, obj(sender=person, receiver=person)) == {
        "sender": {"name": "Ann", "city": "Graz"},
        "receiver": {"name": "Ben", "city": None},
    }
    numbers = {"type": "array", "items": STRING}
    assert filled("What are the phones of Beta?", obj(phones=numbers), PHONES) == {"phones": ["222"]}
    assert filled("Extract it.\nName: Anna. Age: 30.", obj(name=STRING, age=INTEGER)) == {"name": "Anna", "age": 30}
    long = 9_007_199_254_740_993
    assert filled(f"Extract it.\nAccount: {long}", obj(account=INTEGER)) == {"account": long}


TABLE = "| Machine | Power kW | City |\n|---|---|---|\n| Alpha 3 | 12 | Linz |\n| Beta 7 | 20 | Graz |\n"


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("List the machines in Linz.", ["Alpha 3"]),
        ("Which machines are in graz?", ["Beta 7"]),
        ("List all machines.", ["Alpha 3", "Beta 7"]),
        ("Which machines have more than 15 kW?", None),
        ("Which machines are of the type Omega 5?", None),
    ],
)
def test_records_are_chosen_by_what_the_question_names(question: str, names: list[str] | None) -> None:
    machines = {"type": "array", "items": obj(machine=STRING, city=STRING)}
    say = answered(question, obj(machines=machines), TABLE)
    found = None if say.refused else [one["machine"] for one in json.loads(say.text)["machines"]]
    assert found == names


def twice(key: str, levels: int) -> dict[str, Any]:
    defs = {f"d{n}": {key: [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": STRING}}


def tree(children: int) -> dict[str, Any]:
    node = obj(**{f"child{n}": or_null({"$ref": "#/$defs/node"}) for n in range(children)})
    return {"$ref": "#/$defs/node", "$defs": {"node": node}}


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = STRING
    for _ in range(levels):
        schema = {"anyOf": [schema, {"type": "null"}, NUMBER]}
    return schema


@pytest.mark.parametrize(
    "schema",
    [
        twice("anyOf", 40),
        twice("allOf", 40),
        tree(8),
        obj(**{f"field{n}": STRING for n in range(2_000)}),
        {"anyOf": [{"$ref": "#"}]},
        obj(a={"anyOf": [{"$ref": "#/properties/a"}, {"type": "null"}, STRING]}),
        nested(300),
    ],
    ids=["anyOf", "allOf", "a tree", "many fields", "itself", "itself again", "nested"],
)
def test_a_schema_of_very_many_parts_is_refused(schema: dict[str, Any]) -> None:
    assert answered("What is it?", schema, "Name: Ann\n").refused


@pytest.mark.parametrize("wrong", [5, "x", {"a": 1}, None])
def test_a_schema_whose_keywords_have_wrong_types_is_no_error(wrong: Any) -> None:
    for key in ("anyOf", "allOf", "oneOf", "properties", "required", "items", "enum", "$ref", "maxItems", "minLength"):
        answered("What is it?", {"type": ["object", "array", "string"], key: wrong}, "Name: Ann\n")


@pytest.mark.parametrize(
    ("question", "cabin"),
    [
        ("Book a flight in business class.", "business"),
        ("Book a flight, no business class please.", None),
        ("Book a flight, but not in business class.", None),
        ("Book a flight, not business but economy.", "economy"),
        ("Book a flight; don't take business.", None),
    ],
)
def test_an_option_that_is_not_wanted_is_not_an_argument(question: str, cabin: str | None) -> None:
    function = {"name": "book_flight", "parameters": obj(cabin={"enum": ["economy", "business"]}), "strict": True}
    found, missing = arguments_of(function, question)
    assert (found.get("cabin"), missing) == (cabin, [] if cabin else ["cabin"])
