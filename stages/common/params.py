"""Reading params.yaml exactly as DVC reads it, and editing single values in it.

DVC reads YAML 1.2 with ruamel.yaml's safe loader, so `1e-5` is a number here as it is
in dvc.lock. A mistake becomes one line with file, line, key and the nearest valid key.
"""

from __future__ import annotations

import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from stages.common import files
from stages.common.errors import UserError
from stages.common.settings import Settings

PARAMS = Path("params.yaml")
SCHEMA = Path("params.schema.json")
UNION_TAG = re.compile(r"values|range|int|str|constrained-\w+|list\[.*\]")  # pydantic's, in loc


def load(path: Path = PARAMS) -> Settings:
    """Return the checked settings; UserError names file, line and key of the first mistake."""
    text = read(path)
    try:
        content = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
    except YAMLError as error:
        raise UserError(f"{path}: not valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise UserError(f"{path}: empty; restore it with `git checkout {path}`")
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise UserError(_explain(error, path, text)) from error


def read(path: Path) -> str:
    """Return the text of a params file; UserError when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UserError(f"{path}: not in this folder; run in the project's folder") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text; save it as UTF-8") from error


def edit(text: str, section: str, values: Mapping[str, Any]) -> str:
    """Return `text` with the values of some keys of a section replaced, the rest untouched."""
    for key, value in values.items():
        node = _node(text, (section, key))
        start, end = node.start_mark.index, _end(node)
        column = node.start_mark.column
        if isinstance(value, list) and value:
            indent = " " * (column if isinstance(node, SequenceNode) and not node.flow_style else 4)
            block = f"\n{indent}".join(f"- {_scalar(item)}" for item in value)
            new = (
                block
                if isinstance(node, SequenceNode) and not node.flow_style
                else f"\n{indent}{block}"
            )
        else:
            new = "[]" if value == [] else _scalar(value)
        text = text[:start] + new + text[end:]
    return text


def lines(text: str, path: Sequence[str | int]) -> int:
    """Return the line, counted from 1, of the deepest key of `path` that the text has."""
    return int(_node(text, path).start_mark.line) + 1


def _explain(error: ValidationError, path: Path, text: str) -> str:
    mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] == "missing")
    first, others = mistakes[0], len(mistakes) - 1
    loc = first.get("ctx", {}).get("path", first["loc"])
    where = [step for step in loc if not UNION_TAG.fullmatch(str(step))]
    reason = str(first["msg"]).removeprefix("Value error, ")
    reason = reason[0].lower() + reason[1:]
    if first["type"] == "missing":
        reason = "this key is missing"
    elif first["type"] == "extra_forbidden":
        reason = f"unknown key{_nearest(str(where[-1]), where[:-1])}"
    elif first["type"] not in ("value_error", "space"):
        reason = f"{reason}, not {first['input']!r}"
    more = f" (and {others} more)" if others else ""
    return f"{path}, line {lines(text, where)}: {'.'.join(map(str, where))}: {reason}{more}"


def _nearest(key: str, section: Sequence[str | int]) -> str:
    model: type[BaseModel] = Settings
    for step in section:
        model = model.model_fields[str(step)].annotation  # type: ignore[assignment]
    names = list(model.model_fields)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; valid keys are {', '.join(names)}"


def _node(text: str, path: Sequence[str | int]) -> Node:
    node: Node = YAML(typ="rt").compose(text)
    for step in path:
        if isinstance(node, MappingNode):
            values = [value for key, value in node.value if key.value == step]
        elif isinstance(node, SequenceNode) and isinstance(step, int):
            values = node.value[step : step + 1]
        else:
            values = []
        if not values:
            break
        node = values[0]
    return node


def _end(node: Node) -> int:
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    return int(node.end_mark.index)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value) if isinstance(value, float) else str(value)


def save(text: str, path: Path = PARAMS) -> None:
    """Write params.yaml after checking that the new text is valid."""
    Settings.model_validate(YAML(typ="safe").load(text))
    files.write_bytes(path, text.encode())


def schema(text: str) -> dict[str, Any]:
    """Return the JSON schema of params.yaml for editors.

    Types and ranges come from the settings, each key's description from the comment above
    it in the text of params.yaml.
    """
    found = Settings.model_json_schema()
    for definition in (found, *found["$defs"].values()):
        definition.pop("description", None)
    rows = text.splitlines()

    def describe(node: MappingNode, definition: dict[str, Any]) -> None:
        for key, value in node.value:
            target = definition.get("properties", {}).get(key.value)
            if target is None:
                continue
            at = key.start_mark.line
            above = itertools.takewhile(
                lambda row: row.lstrip().startswith("#"), reversed(rows[:at])
            )
            behind = rows[at].partition(" # ")[2:]
            comment = " ".join(
                [*(row.lstrip(" #") for row in reversed(list(above))), *behind]
            ).strip()
            if comment:
                target["description"] = comment
            if "$ref" in target and isinstance(value, MappingNode):
                describe(value, found["$defs"][target["$ref"].rsplit("/", 1)[1]])

    describe(YAML(typ="rt").compose(text), found)
    return found


if __name__ == "__main__":
    files.write_json(SCHEMA, schema(read(PARAMS)))
