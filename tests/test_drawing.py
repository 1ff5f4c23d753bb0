"""Plots drawn as SVG: every one, for classes and values, one revision and two, wide and narrow."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from dvc.exceptions import DvcException

from stages.reporting import drawing, layout, plots
from tests.imports import ROOT
from tests.project import dvc, run
from tests.test_plots import CLASSES, PLOTS, VALUES

WIDTHS = (640, 340)
LOSS = next(plot for plot in PLOTS if plot.name == "loss")
TRAINING = "metrics/plots/training.csv"
RUN = {
    TRAINING: "epoch,train_loss,val_loss,running_loss,best_members\n"
    "0,2.0,2.1,2.0,0\n1,1.0,1.2,1.5,1\n2,0.5,1.1,,1\n"
}


def tables(folder: Path, plot: plots.Plot, *revisions: str) -> dict[str, dict[str, str]]:
    """Return the text of a plot's files in the folder and in its last commit."""
    found: dict[str, dict[str, str]] = {}
    for revision in revisions:
        found[revision] = {
            name: (folder / name).read_text()
            if revision == "workspace"
            else run(folder, "git", "show", f"HEAD:{name}")
            for name in plot.files
        }
    return found


def drawn(*arguments: Any) -> str:
    svg = drawing.draw(*arguments)
    assert svg is not None
    return svg


@pytest.mark.parametrize("task", ["classification", "regression"])
@pytest.mark.parametrize("revisions", [("workspace",), ("workspace", "HEAD")])
@pytest.mark.parametrize("plot", PLOTS, ids=lambda plot: plot.name)
def test_every_plot_is_drawn_within_its_width(small_project, task, revisions, plot):
    found = tables(small_project(task), plot, *revisions)
    empty = VALUES if task == "classification" else CLASSES
    for width in WIDTHS:
        svg = drawing.draw(plot, found, width)
        assert (svg is None) == (plot.name in empty)
        if svg is not None:
            root = ElementTree.fromstring(svg)
            assert float(root.attrib["width"]) <= width
            assert (root.attrib["role"], root.attrib["aria-label"]) == ("img", plot.alt)
            said = " ".join(root.itertext())
            assert "undefined" not in said
            assert "NaN" not in said
            marks = re.findall(r'class="mark-(?:line|area|symbol|rect|rule|text) role-mark', svg)
            assert marks, "axes alone"
            named = [text for text in root.itertext() if re.search("HEAD|workspace", text)]
            assert len(revisions) == 1 or "HEAD" in named[0], "the older one is first"


def test_a_page_and_dvc_fill_a_template_alike(small_project):
    folder = small_project("classification")
    shown = json.loads(dvc(folder, "plots", "show", "--json"))["data"]
    for plot in PLOTS:
        filled = drawing.fill(plot, tables(folder, plot, "workspace"))
        assert filled == (shown[plot.name][0]["content"] if shown[plot.name] else {})


def test_the_same_rows_give_the_same_bytes():
    assert drawn(LOSS, {"workspace": RUN}, 640) == drawn(LOSS, {"workspace": RUN}, 640)
    other = {TRAINING: RUN[TRAINING].replace("0.5", "0.6")}
    assert drawn(LOSS, {"workspace": other}, 640) != drawn(LOSS, {"workspace": RUN}, 640)


def test_text_axes_and_grid_have_the_colour_of_the_page():
    svg = drawn(LOSS, {"workspace": RUN}, 640)
    fills = {part.attrib.get("fill") for part in ElementTree.fromstring(svg).iter() if part.text}
    assert fills == {"currentColor"}
    assert not re.findall(r'(?:stroke|fill)="(?:black|white|#000|#fff|#ddd|#888)"', svg)
    assert set(re.findall(r'font-family="([^"]+)"', svg)) == {"sans-serif"}
    assert not re.findall(r'(?:href|src)="', svg)


def test_ids_of_two_images_on_a_page_differ():
    ids = [
        set(re.findall(r'\bid="([^"]+)"', drawing.finish('<svg a=""><g id="clip0"/></svg>', *of)))
        for of in (("loss 640", ""), ("loss 340", ""))
    ]
    assert ids == [{"loss-640-0"}, {"loss-340-0"}]
    used = drawing.finish('<svg a=""><g id="c"/><p clip-path="url(#c)"/></svg>', "gap 1", "")
    assert 'url(#gap-1-0)"' in used


def test_the_name_of_a_revision_is_shown_when_there_are_two():
    alone = drawn(LOSS, {"workspace": RUN}, 640)
    both = drawn(LOSS, {"workspace": RUN, "HEAD": RUN}, 640)
    assert "workspace" not in "".join(ElementTree.fromstring(alone).itertext())
    assert {"workspace", "HEAD"} <= set(ElementTree.fromstring(both).itertext())


def test_a_file_without_rows_is_not_drawn():
    header = {TRAINING: RUN[TRAINING].splitlines()[0] + "\n"}
    assert drawing.draw(LOSS, {"workspace": header}, 640) is None
    only_one = drawn(LOSS, {"workspace": RUN, "HEAD": header}, 640)
    assert only_one == drawn(LOSS, {"workspace": RUN}, 640)


def test_a_revision_from_before_the_plot_is_left_out():
    assert drawn(LOSS, {"workspace": RUN, "HEAD": {}}, 640) == drawn(LOSS, {"workspace": RUN}, 640)


def test_a_file_or_column_that_is_not_there_is_a_failure():
    with pytest.raises(KeyError, match=r"plot loss: no revision has metrics/plots/training\.csv"):
        drawing.draw(LOSS, {"workspace": {}}, 640)
    without = {TRAINING: RUN[TRAINING].replace("val_loss", "loss")}
    with pytest.raises(DvcException, match="'val_loss'"):
        drawing.draw(LOSS, {"workspace": without}, 640)


def test_a_long_title_is_cut_into_lines_that_fit():
    named = replace(LOSS, title="Loss by epoch and more than fits in one line here: it should fall")
    svg = drawn(named, {"workspace": RUN}, 340)
    lines = [part.text for part in ElementTree.fromstring(svg).iter() if part.tag.endswith("tspan")]
    assert lines[:2] == ["Loss by epoch and more than fits in one line", "here"]
    assert float(ElementTree.fromstring(svg).attrib["width"]) <= 340


def test_small_panels_stay_beside_each_other():
    spec = {"config": {"legend": {}}, "facet": {}, "columns": 3, "spec": {"width": 160}}
    columns = [
        layout.adapt(spec, "a: b", width, alone=True)["columns"] for width in (490, 340, 200)
    ]
    assert columns == [3, 2, 1]


def test_a_narrow_panel_has_fewer_ticks():
    spec = {
        "mark": "bar",
        "width": 300,
        "height": 200,
        "encoding": {"x": {"axis": {"tickCount": 5}}},
    }
    ticks = [
        layout.sized(spec, panel)["encoding"]["x"]["axis"]["tickCount"] for panel in (300, 140, 60)
    ]
    assert ticks == [5, 3, 2]


def test_panels_stand_below_each_other_where_they_do_not_fit():
    spec = {"config": {"legend": {}}, "facet": {}, "columns": 3, "spec": {"width": 300}}
    columns = [
        layout.adapt(spec, "a: b", width, alone=True)["columns"] for width in (900, 500, 340)
    ]
    assert columns == [3, 2, 1]


def test_a_square_panel_stays_square_and_not_too_large():
    spec = {"mark": "bar", "width": 300, "height": 300}
    sizes = [layout.sized(spec, panel) for panel in (200, 900)]
    assert [(one["width"], one["height"]) for one in sizes] == [(200, 200), (320, 320)]
    assert layout.sized({"mark": "bar", "width": 300, "height": 200}, 500)["height"] == 200


def words(name: str, rows: str, width: int = 490) -> list[str]:
    """Return the texts of a plot of this folder alone, drawn from these rows."""
    plot = next(plot for plot in PLOTS if plot.name == name)
    svg = drawn(plot, {"this folder": dict.fromkeys(plot.files, rows)}, width)
    return [text for text in ElementTree.fromstring(svg).itertext() if text.strip()]


def test_a_log_axis_ends_near_the_rows():
    def labels(low: str, high: str) -> set[str]:
        header = RUN[TRAINING].splitlines()[0]
        return {*words("loss", f"{header}\n0,{high},{high},{high},0\n1,{low},{low},{low},1\n")}

    assert {"0.1", "10"} <= labels("0.1", "10")
    assert not {"0.1", "10"} & labels("0.2", "7")


def test_a_class_that_is_never_answered_leaves_legend_and_colours_alone():
    header = "model,class,rows,precision,recall,f1\n"
    some = words("classes", f"{header}base,a,5,,0.0,0.0\nbase,b,5,1.0,1.0,1.0\n")
    every = words("classes", f"{header}base,a,5,0.5,0.5,0.5\nbase,b,5,1.0,1.0,1.0\n")
    legends = [[word for word in found if word in {"precision", "recall", "F1"}] for found in
               (some, every)]  # fmt: skip
    assert legends == [["precision", "recall", "F1"]] * 2


def test_classes_have_one_order_and_one_axis_in_both_states():
    plot = next(plot for plot in PLOTS if plot.name == "classes")
    header = "model,class,rows,precision,recall,f1\n"
    older = f"{header}base,a,5,0.9,0.9,0.9\nbase,b,5,0.8,0.8,0.8\n"
    newer = f"{header}base,a,5,0.3,0.3,0.3\nbase,b,5,0.8,0.8,0.8\n"
    tables = {"HEAD": {plot.files[0]: older}, "this folder": {plot.files[0]: newer}}
    found = [*ElementTree.fromstring(drawn(plot, tables, 490)).itertext()]
    assert [word for word in found if word in {"a", "b"}] == ["a", "b", "a", "b"]
    assert found.count("40%") == 2


def test_the_weakest_class_is_named_unless_all_are_perfect():
    header = "model,class,false_positive_rate,true_positive_rate,area\n"
    perfect = "base,0,0,0,1.0\nbase,0,0,1,1.0\nbase,1,0,0,1.0\nbase,1,0,1,1.0\n"
    assert not [word for word in words("roc", header + perfect) if "area" in word]
    weak = perfect.replace("base,0,0,1,1.0", "base,0,0.5,1,0.75").replace("0,0,0,1.0", "0,0,0,0.75")
    found = words("roc", header + weak)
    assert "weakest: class 0" in found
    assert "area 0.750" in found


def test_few_classes_are_counted_in_large_letters_and_tenths():
    rows = "model,actual,predicted,rows,share\n" + "".join(
        f"base,{actual},{predicted},5,0.3333\n" for actual in "ab" for predicted in "ab"
    )
    assert words("confusion shares", rows).count("33.3") == 4
    plot = next(plot for plot in PLOTS if plot.name == "confusion")
    assert 'font-size="18px"' in drawn(plot, {"this folder": {plot.files[0]: rows}}, 490)


def test_bins_of_few_rows_are_not_joined_by_a_line():
    plot = next(plot for plot in PLOTS if plot.name == "reliability")
    rows = "model,bin,confidence,accuracy,rows\nbase,5,0.5,0.0,1\nbase,9,0.9,1.0,90\n"
    svg = drawn(plot, {"this folder": {plot.files[0]: rows}}, 490)
    assert "mark-line" not in svg


def test_drawing_is_no_matter_of_the_stages():
    from tests.imports import of_stages

    assert not [path for path in of_stages() if "reporting" in path]
    for path in of_stages():
        assert "vl_convert" not in (ROOT / path).read_text()


def test_a_name_that_looks_like_an_id_stays_as_it_is():
    name = 'id="z" url(#z) fill="url(#z)" a > b'
    label = name.replace('"', "&quot;").replace(">", "&gt;")
    shape = f'<g id="z" aria-label="{label}"/><p fill="url(#z)"/>'
    made = drawing.finish(f'<svg a=""><text>{name}</text>{shape}</svg>', "gap 1", "")
    assert f"<text>{name}</text>" in made
    assert f'<g id="gap-1-0" aria-label="{label}"/><p fill="url(#gap-1-0)"/>' in made
