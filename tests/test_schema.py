"""The schema as a file: names and widths of encoded columns, and what JSON keeps."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from stages.common.schema import Category, Dropped, Numeric, Schema, Target


def numeric(name: str = "n", indicator: bool = False, **changes: Any) -> Numeric:
    values: dict[str, Any] = {
        "kind": "numeric",
        "name": name,
        "position": 0,
        "shift": 0.1,
        "scale": 1 / 3,
        "low": -5.0,
        "high": 5.0,
        "knots": [],
        "scores": [],
        "date_format": "",
        "fill": 1e-300,
        "indicator": indicator,
    }
    return Numeric(**values | changes)


def category(name: str = "colour", *levels: str) -> Category:
    return Category(kind="category", name=name, position=1, levels=list(levels))


def schema(task: Any = "classification", **changes: Any) -> Schema:
    values: dict[str, Any] = {
        "task": task,
        "missing": "fill",
        "scale": "standard",
        "features": [
            numeric("n", indicator=True),
            numeric("flag", kind="boolean", low=None, high=None),
            category("colour", "blue", "ünüsual"),
            numeric("born", indicator=True, kind="date", date_format="%d.%m.%Y"),
            numeric("depth", knots=[0.5, 2.0], scores=[-1.0, 1.0]),
        ],
        "dropped": [Dropped(name="same", position=5, reason="the same in every training row")],
        "target": Target(name="y", position=6, classes=["u", "v", "w"], counts=[3, 4, 5]),
    }
    return Schema(**values | changes)


def test_one_name_per_encoded_column():
    found = schema()
    assert found.feature_names == [
        "n",
        "n missing",
        "flag",
        "colour=blue",
        "colour=ünüsual",
        "colour=(other)",
        "born",
        "born missing",
        "depth",
    ]
    assert found.n_features == 9
    assert [column.width for column in found.features] == [2, 1, 3, 2, 1]


def test_the_output_is_as_wide_as_there_are_classes_and_one_for_a_number():
    assert schema().n_outputs == 3
    number = Target(name="y", position=6, classes=[], counts=[], shift=2.5, scale=0.1)
    assert schema("regression", target=number).n_outputs == 1


def test_the_schema_survives_json_with_every_bit():
    found = schema()
    text = json.dumps(found.model_dump(), sort_keys=True, allow_nan=False)
    again = Schema.model_validate(json.loads(text))
    assert again == found
    assert json.dumps(again.model_dump(), sort_keys=True) == text
    assert Schema.model_validate_json(found.model_dump_json()) == found
    assert [type(column) for column in again.features] == [type(c) for c in found.features]


@pytest.mark.parametrize(
    ("place", "change"),
    [
        ((), {"extra": 1}),
        ((), {"task": "clustering"}),
        ((), {"missing": "guess"}),
        ((), {"scale": "log"}),
        (("features", 0), {"extra": 1}),
        (("features", 0), {"kind": "text"}),
        (("features", 0), {"kind": "category"}),
        (("features", 2), {"kind": "numeric"}),
        (("features", 2), {"levels": [1, {}]}),
        (("dropped", 0), {"extra": 1}),
        (("target",), {"extra": 1}),
        (("target",), {"classes": None}),
    ],
)
def test_what_is_no_schema_is_refused(place, change):
    content: Any = schema().model_dump()
    part = content
    for key in place:
        part = part[key]
    part |= change
    with pytest.raises(ValidationError):
        Schema.model_validate(content)


@pytest.mark.parametrize("key", ["task", "features", "target", "dropped", "missing", "scale"])
def test_nothing_may_be_left_out_of_a_schema(key):
    content = schema().model_dump()
    del content[key]
    with pytest.raises(ValidationError, match=key):
        Schema.model_validate(content)


def test_a_schema_does_not_change():
    found = schema()
    for part in (found, *found.features, *found.dropped, found.target):
        with pytest.raises(ValidationError, match="frozen"):
            part.name = "other"  # type: ignore[union-attr]
