"""Reads a JSON Schema into the fields that an answer is to have. What it does not understand allows any value.

Source: https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_DEPTH = 8  # of nested fields: a schema may contain itself
MOST_PARTS = 500  # of a schema once its references are followed
_KINDS = ("object", "array", "string", "integer", "number", "boolean")


class SchemaTooLarge(Exception):
    """A schema has more than `MOST_PARTS` parts."""


@dataclass(frozen=True, kw_only=True)
class Field:
    """A value that the answer is to have.

    `kind`: one of `_KINDS`, "any", or "choice" (see `choices`). `rules`: the schema, for bounds, patterns and formats.
    """

    name: str
    path: tuple[str, ...]  # the names of the fields it is in, and its own
    kind: str
    description: str = ""
    nullable: bool = False
    required: bool = True
    options: tuple[Any, ...] = ()  # of an enum; the value itself, if it is constant
    fields: tuple[Field, ...] = ()  # of an object
    item: Field | None = None  # of an array
    choices: tuple[Field, ...] = ()  # of anyOf: one of them
    rules: Mapping[str, Any] = ()  # type: ignore[assignment]

    @property
    def shown(self) -> str:
        return ".".join(self.path) or "the answer"

    def leaves(self) -> list[Field]:
        """The fields without parts, in order."""
        parts = [*self.fields, *self.choices, *([self.item] if self.item else [])]
        return [leaf for part in parts for leaf in part.leaves()] if parts else [self]


def read_schema(schema: Any) -> Field:
    """The schema of an answer as one field without a name.

    Raises:
        SchemaTooLarge: it has too many parts, which a schema that refers to itself several times has.
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _Reader(root).read(root, name="", path=(), required=True)


class _Reader:
    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts = 0

    def _count(self) -> None:
        self._parts += 1
        if self._parts > MOST_PARTS:
            raise SchemaTooLarge

    def read(self, schema: Any, *, name: str, path: tuple[str, ...], required: bool) -> Field:
        self._count()
        rules = self._resolved(schema)
        about: dict[str, Any] = {
            "name": name,
            "path": path,
            "required": required,
            "description": str(rules.get("description") or rules.get("title") or ""),
            "rules": rules,
        }
        variants = [self._resolved(one) for one in _list(rules.get("anyOf")) or _list(rules.get("oneOf"))]
        wanted = [one for one in variants if not _is_null(one)]
        null = len(wanted) < len(variants) or bool(rules.get("nullable"))
        if len(path) >= MOST_DEPTH:
            return Field(**about, kind="nothing", nullable=null)
        if len(wanted) == 1 and variants:
            one = self.read({**_about(rules), **wanted[0]}, name=name, path=path, required=required)
            return _or_null(one) if null else one
        if wanted:
            fields = tuple(
                self.read({**_about(rules), **one}, name=name, path=path, required=required) for one in wanted
            )
            return Field(**about, kind="choice", nullable=null or any(f.nullable for f in fields), choices=fields)
        return self._plain(rules, about, null=null)

    def _plain(self, rules: Mapping[str, Any], about: dict[str, Any], *, null: bool) -> Field:
        said = rules.get("type")
        kinds = [kind for kind in (said if isinstance(said, list) else [said]) if isinstance(kind, str)]
        null = null or "null" in kinds
        options = tuple(rules["enum"]) if isinstance(rules.get("enum"), list) else ()
        options = (rules["const"],) if "const" in rules else options
        null = null or None in options
        if options:
            return Field(**about, kind="enum", nullable=null, options=tuple(one for one in options if one is not None))
        known = [kind for kind in kinds if kind in _KINDS]
        if not known and isinstance(rules.get("properties"), Mapping):
            known = ["object"]
        if len(known) > 1:
            fields = tuple(self._plain({**rules, "type": kind}, about, null=null) for kind in known)
            return Field(**about, kind="choice", nullable=null, choices=fields)
        kind = known[0] if known else "nothing" if kinds else "any"
        if kind == "object":
            return Field(**about, kind=kind, nullable=null, fields=self._fields(rules, about["path"]))
        if kind == "array":
            item = self.read(rules.get("items", {}), name=about["name"], path=(*about["path"], "[]"), required=True)
            return Field(**about, kind=kind, nullable=null, item=item)
        return Field(**about, kind=kind, nullable=null)

    def _fields(self, rules: Mapping[str, Any], path: tuple[str, ...]) -> tuple[Field, ...]:
        given = rules.get("properties")
        properties = given if isinstance(given, Mapping) else {}
        listed = rules.get("required")
        required = listed if isinstance(listed, list) else []
        return tuple(
            self.read(schema, name=str(name), path=(*path, str(name)), required=name in required)
            for name, schema in properties.items()
        )

    def _resolved(self, schema: Any, seen: Sequence[str] = ()) -> Mapping[str, Any]:
        """A schema without `$ref` and `allOf`."""
        self._count()
        if not isinstance(schema, Mapping):
            return {}
        ref = schema.get("$ref")
        if isinstance(ref, str) and ref not in seen:
            return {**self._resolved(self._at(ref), (*seen, ref)), **{k: v for k, v in schema.items() if k != "$ref"}}
        whole: dict[str, Any] = {key: one for key, one in schema.items() if key != "allOf"}
        for part in _list(schema.get("allOf")):
            for key, one in self._resolved(part, seen).items():
                both = isinstance(one, Mapping) and isinstance(whole.get(key), Mapping)
                lists = isinstance(one, list) and isinstance(whole.get(key), list)
                whole[key] = {**whole[key], **one} if both else [*whole[key], *one] if lists else one
        return whole

    def _at(self, ref: str) -> Any:
        place: Any = self._root
        for part in ref.removeprefix("#").strip("/").split("/") if ref.strip("#/") else ():
            place = place.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) else None
        return place


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _about(rules: Mapping[str, Any]) -> dict[str, Any]:
    return {key: rules[key] for key in ("description", "title") if key in rules}


def _is_null(schema: Mapping[str, Any]) -> bool:
    return schema.get("type") in ("null", ["null"]) or ("const" in schema and schema["const"] is None)


def _or_null(field: Field) -> Field:
    return Field(**{**field.__dict__, "nullable": True})


def words_of_name(name: str) -> str:
    """`maxRetryCount`, `max_retry-count` -> `max Retry Count`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[_\-.\s]+", " ", name).strip()
