"""The plots of dvc.yaml: words, templates, and what DVC makes of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from ruamel.yaml import YAML

from stages.common.graph import OUTPUTS, Declared
from stages.common.settings import FIXED_IN_SEARCH, Model, Train
from stages.reporting import plots
from tests.imports import ROOT
from tests.project import dvc
from tests.test_graph import VERBS, names
from tests.test_page import contrast

PLOTS = plots.listed(ROOT)
TEMPLATES = {path.stem: path for path in (ROOT / plots.TEMPLATES).glob("*.json")}
OKABE_ITO = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}
GREYS = {"#808080", "black", "white"}
VALUES = {"predicted", "residuals"}  # the plots of a regression
CLASSES = {"confusion", "confusion shares", "reliability", "classes", "roc", "precision recall"}


def template(name: str) -> Any:
    return json.loads(TEMPLATES[name].read_text())


def parts(node: Any) -> Iterator[Any]:
    """Yield a value of JSON and everything in it."""
    yield node
    for inner in (
        node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    ):
        yield from parts(inner)


def test_every_plot_has_words_and_all_words_are_of_a_plot():
    defined = YAML(typ="safe").load(ROOT / "dvc.yaml")["plots"]
    in_order = [name for entry in defined for name in entry]
    assert len(in_order) > 20
    assert [plot.name for plot in PLOTS] == in_order
    assert {name for each in plots.WORDS.values() for name in each} == set(in_order)
    assert list(plots.WORDS) == ["training", "test", "transfer", "search"]
    for plot in PLOTS:
        assert plot.question.endswith("?")
        assert plot.alt.endswith(".")
        assert plot.title.count(": ") == 1, f"{plot.name}: what is seen, and what is good"


def test_every_file_of_a_plot_is_written_by_a_stage():
    written = {name for verb in VERBS for name in names(verb, *OUTPUTS)}
    files = {name for plot in PLOTS for name in plot.files}
    assert files <= written
    assert Declared.read("evaluate", ROOT)("plots/roc.csv").as_posix().endswith("plots/roc.csv")


def test_every_template_is_used_and_named_as_none_of_dvc():
    from dvc_render.vega_templates import TEMPLATES as STOCK

    assert {plot.properties["template"] for plot in PLOTS} == set(TEMPLATES)
    assert not set(TEMPLATES) & {stock.DEFAULT_NAME for stock in STOCK}


@pytest.mark.parametrize("name", TEMPLATES)
def test_templates_share_one_look_and_accessible_colours(name):
    spec = template(name)
    assert spec["config"] == template("epochs")["config"]
    text = TEMPLATES[name].read_text()
    colours = set(re.findall(r"#[0-9A-Fa-f]{6}\b", text))
    assert colours <= OKABE_ITO | GREYS
    assert '"tooltip"' in text
    assert text == json.dumps(spec, indent=2, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("colour", ["#0072B2", "#D55E00"])
def test_black_stands_out_from_the_strongest_cell_of_a_confusion_matrix(colour):
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5; the ground of a cell is white."""
    text = TEMPLATES["cells"].read_text()
    found = re.search(r"datum.cell == 0 \? 0 : ([0-9.]+) \+ ([0-9.]+) \* datum", text)
    assert found
    strength = sum(map(float, found.groups()))
    shares = [int(colour[at : at + 2], 16) for at in (1, 3, 5)]
    mixed = [round(strength * share + (1 - strength) * 255) for share in shares]
    assert contrast("{:02x}{:02x}{:02x}".format(*mixed), "000000") > 4.5


@pytest.mark.parametrize("plain", ["epochs", "layers"])
def test_a_log_axis_differs_from_the_plain_one_in_its_scale(plain):
    logged = template(f"{plain}_log")
    scales = [part["scale"] for part in parts(logged) if isinstance(part, dict) and "scale" in part]
    assert "log" in [scale.get("type") for scale in scales if scale]
    assert '"log"' not in json.dumps(template(plain))


@pytest.mark.parametrize("name", ["settings", "parallel"])
def test_the_plots_of_the_search_know_every_setting_that_a_search_can_vary(name):
    text = TEMPLATES[name].read_text()
    found = set(re.findall(r"\['((?:model|train)\.\w+)', datum\['\1'\]\]", text))
    expected = {
        f"{section}.{key}"
        for section, model in (("model", Model), ("train", Train))
        for key in model.model_fields
        if key not in FIXED_IN_SEARCH
    }
    assert found == expected


def test_every_column_that_a_template_draws_is_in_its_files(small_project):
    given = {"rev", "field", "value", "best_members"}  # by DVC, by an axis; only training has it
    folder = small_project("classification")
    for plot in PLOTS:
        spec = template(plot.properties["template"])
        mappings = [part for part in parts(spec) if isinstance(part, dict)]
        texts = [part for part in parts(spec) if isinstance(part, str)]
        fields = [part["field"] for part in mappings if isinstance(part.get("field"), str)]
        used = {*fields, *(name for text in texts for name in re.findall(r"datum\.(\w+)", text))}
        made = {
            name for part in mappings for name in parts(part.get("as", [])) if isinstance(name, str)
        }
        columns = (folder / plot.files[0]).read_text().partition("\n")[0].split(",")
        assert len(used) > 2
        assert used - made <= {*columns, *given}, plot.name


def test_no_title_breaks_the_expression_that_it_is_put_into():
    assert not [plot.title for plot in PLOTS if "'" in plot.title or "\\" in plot.title]


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_dvc_shows_every_plot_that_has_rows_in_one_and_two_revisions(small_project, task):
    folder = small_project(task)
    empty = VALUES if task == "classification" else CLASSES
    shown = json.loads(dvc(folder, "plots", "show", "--json"))["data"]
    both = json.loads(dvc(folder, "plots", "diff", "HEAD", "workspace", "--json"))["data"]
    for plot in PLOTS:
        for found, revisions in ((shown, {"workspace"}), (both, {"HEAD", "workspace"})):
            filled = found[plot.name]
            assert bool(filled) == (plot.name not in empty), plot.name
            for one in filled:
                rows = one["content"]["data"]["values"]
                assert {row["rev"] for row in rows} == revisions
                assert "<DVC_METRIC" not in json.dumps({**one["content"], "data": None})
    assert "index.html" in dvc(folder, "plots", "show", "--out", "page")
