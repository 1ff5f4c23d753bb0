"""Reading params.yaml exactly as DVC reads it, and editing single values in it.

DVC reads YAML 1.2 with ruamel.yaml's safe loader, so `1e-5` is a number here as it is
in dvc.lock. A mistake becomes one line with file, line, key and the nearest valid key.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.reader import ReaderError

from stages.common import files
from stages.common.errors import UserError
from stages.common.settings import Range, Settings

PARAMS = Path("params.yaml")
SCHEMA = Path("params.schema.json")


def load(path: Path = PARAMS) -> Settings:
    """Return the checked settings; UserError names file, line and key of the first mistake."""
    return parse(read(path), path)


def parse(text: str, path: Path = PARAMS) -> Settings:
    """Return the settings in the text of a params file, as `load` does."""
    try:
        content = YAML(typ="safe").load(text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UserError(f"{path}, line {line}: not valid YAML: {error.problem}") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise UserError(
            f"{path}, line {line}: not valid YAML: character #x{error.character:04x} is not "
            "allowed; take it out"
        ) from error
    except (YAMLError, RecursionError, ValueError) as error:
        reason = str(error).partition(";")[0]
        raise UserError(
            f"{path}: not valid YAML: {reason}; restore it with `git checkout {path}`"
        ) from error
    if not isinstance(content, dict):
        found = "empty" if content is None else "has no sections such as preprocess"
        raise UserError(f"{path}: {found}; restore it with `git checkout {path}`")
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        raise UserError(_explain(error, path, text)) from error


def read(path: Path) -> str:
    """Return the text of a params file with its own line ends; UserError if it is unreadable."""
    try:
        with open(path, encoding="utf-8", newline="") as stream:
            return stream.read()
    except FileNotFoundError as error:
        raise UserError(f"{path}: not in this folder; run in the project's folder") from error
    except IsADirectoryError as error:
        raise UserError(f"{path}: a folder; restore the file with `git checkout {path}`") from error
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not UTF-8 text; save it as UTF-8") from error


def save(text: str, path: Path = PARAMS) -> None:
    """Write a params file after checking that the new text is valid."""
    parse(text, path)
    files.write_bytes(path, text.encode())


def edit(text: str, section: str, values: Mapping[str, Any]) -> str:
    """Return `text` with the values of some keys of a section replaced, the rest untouched.

    Raises UserError for a key that the section does not have.
    """
    for key, value in values.items():
        name, node = _pair(text, section, key)
        start = name.end_mark.index
        colon = text.index(":", start) + 1
        end = max(colon, _end(node))
        if isinstance(value, list) and value:
            line = "\r\n" if "\r\n" in text else "\n"
            new = "".join(f"{line}{' ' * name.start_mark.column}- {_scalar(v)}" for v in value)
        else:
            new = _scalar(value)
            if isinstance(node, ScalarNode) and end > colon:  # the spacing stays
                colon = int(node.start_mark.index)
            else:
                new = " " + new
        text = text[:colon] + new + text[end:]
    return text


def compose(text: str) -> MappingNode:
    """Return the mapping in a text as nodes, which know where they stand."""
    document: MappingNode = YAML(typ="rt").compose(text)
    return document


def line_of(document: Node, path: Sequence[str | int]) -> int:
    """Return the line, counted from 1, of the deepest key of `path` that the document has."""
    return int(_keys(document, path)[-1].start_mark.line) + 1


def _explain(error: ValidationError, path: Path, text: str) -> str:
    """Return the first mistake as a line; a missing key comes last: a typing error makes one."""
    mistakes = sorted(error.errors(), key=lambda mistake: mistake["type"] == "missing")
    document = compose(text)
    where = [_place(document, mistake) for mistake in mistakes]
    unknown = sum(mistake["type"] == "extra_forbidden" for mistake in mistakes)
    missing = sum(mistake["type"] == "missing" for mistake in mistakes)
    others = len(set(where)) - min(unknown, missing) - 1  # a renamed key is unknown and missing
    first, at = mistakes[0], where[0]
    same = [other for other, place in zip(mistakes, where, strict=True) if place == at]
    reason = " or ".join(dict.fromkeys(_reason(mistake) for mistake in same))
    if first["type"] == "extra_forbidden":
        reason += _nearest(str(at[-1]), at[:-1])
    elif first["type"] not in ("value_error", "space", "missing"):
        reason += f", not {first['input']!r}"
    more = f" (and {others} more)" if others > 0 else ""
    key = ".".join(map(str, at))
    return f"{path}, line {line_of(document, at)}: {key}: {reason}{more}"


def _place(document: Node, mistake: Any) -> tuple[str | int, ...]:
    """Return the keys that lead to a mistake; a union of types adds their names to `loc`."""
    path = mistake.get("ctx", {}).get("path")
    if path:
        return tuple(path)
    *steps, last = mistake["loc"] or ("",)
    place: list[str | int] = []
    for step in steps:
        if len(_keys(document, [*place, step])) == len(place) + 2:
            place.append(step)
    if mistake["type"] == "missing" or len(_keys(document, [*place, last])) == len(place) + 2:
        place.append(last)
    return tuple(place)


def _reason(mistake: Any) -> str:
    if mistake["type"] == "missing":
        return "this key is missing"
    if mistake["type"] == "extra_forbidden":
        return "unknown key"
    reason = str(mistake["msg"]).removeprefix("Value error, ")
    return reason[0].lower() + reason[1:]


def _nearest(key: str, section: Sequence[str | int]) -> str:
    model: Any = Settings
    for step in section:
        fields = getattr(model, "model_fields", {})
        model = fields[str(step)].annotation if str(step) in fields else Range
    names = list(model.model_fields)
    close = difflib.get_close_matches(key, names, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; valid keys are {', '.join(names)}"


def _keys(node: Node, path: Sequence[str | int]) -> list[Node]:
    """Return the node and the key node (or item) of each step below it that it has."""
    found = [node]
    for step in path:
        if isinstance(node, MappingNode):
            pairs = [(key, value) for key, value in node.value if key.value == str(step)]
        elif isinstance(node, SequenceNode) and isinstance(step, int):
            pairs = [(value, value) for value in node.value[step : step + 1]]
        else:
            pairs = []
        if not pairs:
            break
        found.append(pairs[0][0])
        node = pairs[0][1]
    return found


def _pair(text: str, section: str, key: str) -> tuple[Node, Node]:
    for name, node in compose(text).value:
        if name.value == section and isinstance(node, MappingNode):
            for pair in node.value:
                if pair[0].value == key:
                    return pair[0], pair[1]
    raise UserError(f"{PARAMS}: {section}.{key}: this key is missing; add it, any value will do")


def _end(node: Node) -> int:
    if isinstance(node, SequenceNode) and not node.flow_style and node.value:
        return _end(node.value[-1])
    if isinstance(node, ScalarNode) and node.value == "" and node.style is None:
        return 0  # no value: its mark stands somewhere behind the colon
    return int(node.end_mark.index)


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    text = str(value)
    if isinstance(value, str) and not _reads_as(text, value):
        return "'" + text.replace("'", "''") + "'"
    return text


def _reads_as(text: str, value: str) -> bool:
    try:
        found: bool = YAML(typ="safe").load(f"key: {text}\n") == {"key": value}
    except YAMLError:
        return False
    return found


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

    describe(compose(text), found)
    return found


if __name__ == "__main__":
    files.write_json(SCHEMA, schema(read(PARAMS)))
