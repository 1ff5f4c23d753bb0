"""The checkpoint: complete in one file, the same bytes each time, and foreign files refused."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from stages.common import files, initialize
from stages.common.activations import MODULES
from stages.common.checkpoint import FORMAT, Checkpoint, read_schema
from stages.common.errors import UserError
from stages.common.network import Stack
from stages.common.schema import Schema
from tests.columns import fit

X = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))


def schema(classes: int = 3) -> Schema:
    """5 encoded columns: a number and its indicator, two levels and the other one."""
    rows = 4 * classes
    return fit(
        {
            "id": ["1"] * rows,
            "ph": [None, *(str(7 + row / 3) for row in range(rows - 1))],
            "Größe": ["klein", "groß"] * (rows // 2),
            "class": [f"c{row % classes}" for row in range(rows)],
        }
    )


def build(activation: str = "leaky_relu", hidden: tuple[int, ...] = (4,)) -> Checkpoint:
    stack = initialize.stack(
        [5, *hidden, 3], activation, [(0, 0), (0, 1)], ["default"] * 2, [(0, 1)] * 2, [0.1, 0.3]
    )
    settings = {"model": {"hidden": list(hidden)}, "train": {"lr": 0.1, "seed": 0, "name": "x"}}
    return Checkpoint(stack, schema(), settings)


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    build().save(tmp_path / "base.pt")
    return tmp_path / "base.pt"


def content(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(path, weights_only=True)
    return found


def rewrite(path: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    """Save the file's content again with a change; what `change` returns replaces it if any."""
    found = content(path)
    torch.save(change(found) or found, path)


@pytest.mark.parametrize("hidden", [(), (4,), (4, 1, 7)])
@pytest.mark.parametrize("activation", sorted(MODULES))
def test_a_loaded_checkpoint_predicts_the_same_and_knows_the_same(tmp_path, activation, hidden):
    before = build(activation, hidden)
    before.save(tmp_path / "base.pt")
    after = Checkpoint.load(tmp_path / "base.pt")
    assert torch.equal(after.stack(X), before.stack(X))
    assert after.stack.activation == activation
    assert after.stack.widths == [5, *hidden, 3]
    assert torch.equal(after.stack.negative_slope, before.stack.negative_slope)
    assert after.schema == before.schema
    assert after.settings == before.settings


def test_loading_needs_no_other_file(saved, tmp_path, monkeypatch):
    lonely = tmp_path / "elsewhere"
    lonely.mkdir()
    shutil.move(saved, lonely / "other name.pt")
    monkeypatch.chdir(lonely)
    assert torch.equal(Checkpoint.load(Path("other name.pt")).stack(X), build().stack(X))
    assert [path.name for path in lonely.iterdir()] == ["other name.pt"]


def test_the_bytes_depend_on_the_content_alone(saved, tmp_path):
    first = saved.read_bytes()
    Checkpoint.load(saved).save(tmp_path / "a longer name.pt")
    assert (tmp_path / "a longer name.pt").read_bytes() == first
    other = build()
    shuffled = Checkpoint(other.stack, other.schema, dict(reversed([*other.settings.items()])))
    shuffled.save(saved)
    assert saved.read_bytes() == first


def test_a_checkpoint_may_be_saved_over_the_file_it_came_from(saved):
    loaded = Checkpoint.load(saved)
    build("tanh").save(saved)
    loaded.save(saved)
    assert torch.equal(Checkpoint.load(saved).stack(X), build().stack(X))


def test_a_loaded_stack_can_be_trained_without_changing_the_file(saved):
    before = saved.read_bytes()
    with torch.no_grad():
        stack = Checkpoint.load(saved).stack
        for parameter in stack.parameters():
            parameter.add_(1)
        stack.negative_slope.add_(1)
    assert saved.read_bytes() == before


def test_a_loaded_stack_does_not_read_the_file_again(saved):
    """Reading maps the file into memory: what is kept of it must be a copy."""
    stack = Checkpoint.load(saved).stack
    with saved.open("r+b") as stream:
        stream.write(bytes(saved.stat().st_size))
    assert torch.equal(stack(X), build().stack(X))


def test_members_of_a_larger_stack_are_saved_without_the_others(tmp_path):
    whole = build()
    layers = whole.stack.layers
    view = Stack(
        [layer.weight.detach()[:1] for layer in layers],
        [layer.bias.detach()[:1] for layer in layers],
        whole.stack.activation,
        whole.stack.negative_slope[:1],
    )
    Checkpoint(view, whole.schema, whole.settings).save(tmp_path / "view.pt")
    copy = Checkpoint(whole.stack.take(torch.tensor([0])), whole.schema, whole.settings)
    copy.save(tmp_path / "copy.pt")
    assert (tmp_path / "view.pt").read_bytes() == (tmp_path / "copy.pt").read_bytes()


def test_a_checkpoint_moves_to_a_device_with_its_stack():
    moved = build().to(torch.device("meta"))
    assert {p.device.type for p in moved.stack.parameters()} == {"meta"}
    assert moved.stack.negative_slope.device.type == "meta"


def test_the_file_holds_plain_tensors_and_values_under_names_of_layers(saved):
    found = content(saved)
    shapes = {name: tuple(t.shape) for name, t in found.items() if isinstance(t, torch.Tensor)}
    assert shapes == {
        "layer0.weight": (2, 5, 4),
        "layer0.bias": (2, 1, 4),
        "layer1.weight": (2, 4, 3),
        "layer1.bias": (2, 1, 3),
        "negative_slope": (2,),
    }
    plain = {name: value for name, value in found.items() if name not in shapes}
    assert json.loads(json.dumps(plain)) == plain
    assert plain["format"] == FORMAT
    assert plain["widths"] == [5, 4, 3]


class Trap:
    """Unpickling it creates a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


@pytest.mark.parametrize(
    "write", [torch.save, lambda trap, path: path.write_bytes(pickle.dumps(trap))]
)
def test_no_pickle_is_ever_executed(tmp_path, write):
    write(Trap(tmp_path / "sprung"), tmp_path / "base.pt")
    with pytest.raises(UserError, match=r"base\.pt: damaged, or another program's"):
        Checkpoint.load(tmp_path / "base.pt")
    assert not (tmp_path / "sprung").exists()


def refused(path: Path) -> str:
    """Load, and return the message, which must name the file and say what to do."""
    with pytest.raises(UserError) as error:
        Checkpoint.load(path)
    message = str(error.value)
    assert message.startswith(str(path))
    assert message.endswith("run `dvc repro`")
    assert "\n" not in message
    return message


def test_a_missing_file_is_named(tmp_path):
    assert "no such file" in refused(tmp_path / "base.pt")


@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.6, 0.9, 0.99])
def test_a_truncated_file_is_refused(saved, share):
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(len(whole) * share)])
    assert "damaged, or another program's" in refused(saved)


@pytest.mark.parametrize("data", [b"a,b\n1,2\n", b"\x00" * 500, b"PK\x03\x04 no archive"])
def test_a_file_of_another_kind_is_refused(saved, data):
    saved.write_bytes(data)
    assert "damaged, or another program's" in refused(saved)


@pytest.mark.parametrize(
    "foreign", [torch.nn.Linear(2, 2).state_dict(), {"format": FORMAT}, [1, 2], torch.ones(3), {}]
)
def test_another_programs_torch_file_is_refused(saved, foreign):
    torch.save(foreign, saved)
    assert "another program" in refused(saved)


KEYS = ["format", "activation", "widths", "negative_slope", "schema", "settings"]


@pytest.mark.parametrize("lacking", KEYS)
def test_a_file_that_lacks_a_key_is_refused_by_the_name_of_that_key(saved, lacking):
    rewrite(saved, lambda found: {key: found[key] for key in found if key != lacking})
    message = refused(saved)
    assert [key for key in KEYS if f"lacks {key}, " in message] == [lacking]


def test_another_format_is_refused_with_both_numbers(saved):
    rewrite(saved, lambda found: {**found, "format": FORMAT + 6})
    message = refused(saved)
    assert f"format {FORMAT + 6}, not {FORMAT}" in message


MISFITS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "a weight is missing": lambda found: {
        name: value for name, value in found.items() if name != "layer1.weight"
    },
    "a bias is missing": lambda found: {
        name: value for name, value in found.items() if name != "layer0.bias"
    },
    "a weight is transposed": lambda found: {
        **found,
        "layer0.weight": found["layer0.weight"].transpose(1, 2),
    },
    "a bias has no row dimension": lambda found: {
        **found,
        "layer1.bias": found["layer1.bias"][:, 0],
    },
    "a member is missing": lambda found: {**found, "layer1.weight": found["layer1.weight"][:1]},
    "a slope is missing": lambda found: {**found, "negative_slope": found["negative_slope"][:1]},
    "a weight is a list": lambda found: {**found, "layer0.weight": found["layer0.weight"].tolist()},
    "a width differs": lambda found: {**found, "widths": [5, 6, 3]},
    "a layer more is described": lambda found: {**found, "widths": [5, 4, 3, 3]},
    "an unknown activation": lambda found: {**found, "activation": "swish"},
    "widths are no list": lambda found: {**found, "widths": 5},
    "no widths": lambda found: {**found, "widths": []},
    "no layers at all": lambda found: {
        name: [] if name == "widths" else value
        for name, value in found.items()
        if not name.startswith("layer")
    },
    "a layer fewer is described": lambda found: {
        **found,
        "widths": [5, 3],
        "layer0.weight": torch.zeros(2, 5, 3),
        "layer0.bias": torch.zeros(2, 1, 3),
    },
    "weights in double precision": lambda found: {
        **found,
        "layer0.weight": found["layer0.weight"].double(),
    },
    "settings that are no mapping": lambda found: {**found, "settings": 3},
    "the schema is empty": lambda found: {**found, "schema": {}},
    "the schema is no mapping": lambda found: {**found, "schema": None},
    "the schema has a column of an unknown kind": lambda found: {
        **found,
        "schema": {**found["schema"], "features": [{"kind": "image", "name": "a", "position": 1}]},
    },
}


@pytest.mark.parametrize("misfit", MISFITS)
def test_weights_that_differ_from_their_description_are_refused(saved, misfit):
    rewrite(saved, MISFITS[misfit])
    assert "its weights and description differ" in refused(saved)


def test_a_network_of_another_width_than_its_schema_is_refused_with_all_numbers(saved):
    rewrite(saved, lambda found: {**found, "schema": schema(classes=4).model_dump()})
    message = refused(saved)
    assert "5 features and gives 3 outputs" in message
    assert "5 and 4" in message
    assert (schema().n_features, len(schema().dropped)) == (5, 1)
    numbers = schema().model_copy(update={"features": schema().features[:1]})
    build().save(saved)
    rewrite(saved, lambda found: {**found, "schema": numbers.model_dump()})
    assert "2 and 3" in refused(saved)


def test_schemas_of_one_or_two_tables_are_read_back(tmp_path):
    path = tmp_path / "schema.json"
    files.write_json(path, {"source": schema().model_dump()})
    assert read_schema(path) == {"source": schema()}
    both = {"source": schema().model_dump(), "target": schema(4).model_dump()}
    files.write_json(path, both)
    assert read_schema(path) == {"source": schema(), "target": schema(4)}


@pytest.mark.parametrize(
    "found", [{}, [], None, 3, {"target": schema().model_dump()}, {"source": {"task": "x"}}]
)
def test_a_file_without_the_source_tables_schema_is_refused(tmp_path, found):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps(found))
    with pytest.raises(UserError, match=r"schema\.json: not a schema.*delete.*dvc repro"):
        read_schema(path)


def test_a_stack_taken_from_a_checkpoint_is_an_ordinary_stack(saved):
    stack = Checkpoint.load(saved).stack
    assert isinstance(stack, Stack)
    torch.testing.assert_close(stack.member(1).eval()(X), stack(X)[1])
