"""The lessons: their commands run, their claims hold, the page has their figures and pictures."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from stages.reporting import plots
from tests import lessons
from tests.imports import ROOT
from tests.lessons import LESSONS, Learnt
from tests.project import run

NUMBERS = range(len(LESSONS))
NAMES = [lesson.name for lesson in LESSONS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    copy: Path = tmp_path_factory.mktemp("lessons") / "tabline"
    lessons.prepare(copy)
    return copy


@pytest.fixture(scope="module")
def learnt(folder: Path) -> list[Learnt]:
    return lessons.study(folder)


def test_the_page_has_the_commands_and_figures_of_the_lessons(learnt: list[Learnt]) -> None:
    written = (ROOT / lessons.PAGE).read_text(encoding="utf-8")
    assert written == lessons.page(learnt), "run `make lessons`"


@pytest.mark.parametrize("number", NUMBERS, ids=NAMES)
def test_a_picture_shows_what_the_experiments_gave(learnt: list[Learnt], number: int) -> None:
    written = (ROOT / LESSONS[number].picture()).read_text(encoding="utf-8")
    assert written == learnt[number].picture, "run `make lessons`"


@pytest.mark.parametrize("number", NUMBERS, ids=NAMES)
def test_the_figures_say_what_a_lesson_claims(learnt: list[Learnt], number: int) -> None:
    assert LESSONS[number].claim(learnt[number].figures)


@pytest.mark.parametrize("lesson", LESSONS, ids=NAMES)
def test_a_claim_fails_where_all_figures_are_alike(lesson: lessons.Lesson) -> None:
    alike: dict[str, dict[str, float]] = defaultdict(lambda: defaultdict(lambda: 1.0))
    assert not lesson.claim(alike)


@pytest.mark.parametrize("number", NUMBERS, ids=NAMES)
def test_the_commands_end_with_a_page_of_what_the_lesson_shows(
    learnt: list[Learnt], number: int
) -> None:
    lesson, found = LESSONS[number], learnt[number]
    for name in lesson.experiments:
        assert f"Ran experiment(s): {name}\n" in found.printed
    assert found.printed.endswith("/dvc_plots/index.html\n")
    assert set(re.findall(r'"rev": "(\w+)"', found.plots)) == set(lesson.shown)
    titles = {plot.name: plot.title for plot in plots.listed(ROOT)}
    assert {name for name, title in titles.items() if title in found.plots} == {lesson.plot}


def test_the_folder_is_left_alone_and_an_experiment_that_was_taken_goes_back(
    folder: Path, learnt: list[Learnt]
) -> None:
    assert run(folder, "git", "status", "--short") == ""
    take, back, forget = (line for line in lessons.AFTERWARDS if not line.startswith("make"))
    for command in (take, back, forget):
        run(folder, "bash", "-c", re.sub(r"\bdvc ", "python -m dvc ", command))
        changed = "params.yaml" in run(folder, "git", "status", "--short")
        assert changed == (command == take), command
    assert run(folder, "git", "status", "--short") == ""
    assert "refs/exps" in run(folder, "git", "for-each-ref")
    assert f"/{forget.split()[-1]}\n" not in run(folder, "git", "for-each-ref")


def test_no_picture_is_left_over() -> None:
    drawn = {lesson.picture() for lesson in LESSONS}
    assert {path.relative_to(ROOT) for path in (ROOT / lessons.PICTURES).iterdir()} == drawn
    assert len(drawn) == len(LESSONS)


def test_an_image_stands_on_white() -> None:
    assert lessons.on_white('<svg width="9"><g/></svg>') == (
        '<svg width="9"><rect width="100%" height="100%" fill="white"/><g/></svg>'
    )
