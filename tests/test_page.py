"""page: what a reader can answer from it alone, safe whatever the names in the data are."""

from __future__ import annotations

import re
from collections import Counter
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import pytest
from dvc.exceptions import DvcException

from stages.reporting import changes, comparison, figures, page, tracked
from tests import reported
from tests.project import commit

EVIL = "<script>alert(1)</script>&\"'"
MOST = 3_000_000  # bytes
VOID = {"meta", "br", "wbr", "img", "hr", "link", "input", "path", "rect", "line", "circle", "use"}


class Nesting(HTMLParser):
    """Counts tags and notes those that are closed in the wrong order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag in VOID:
            return
        if not self.open or self.open.pop() != tag:
            self.wrong.append(tag)


@pytest.fixture(scope="module")
def html(tmp_path_factory) -> str:
    """The page with every plot drawn."""
    return reported.drawn_page(tmp_path_factory.mktemp("page") / "project")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    return reported.entered(tmp_path, monkeypatch)


def parsed(html: str) -> Nesting:
    found = Nesting()
    found.feed(html)
    return found


def told(html: str) -> str:
    """Return the sentences of a page."""
    return unescape(" ".join(re.findall(r"<p[^>]*>(.*?)</p>", html)))


def test_a_reader_of_the_page_alone_can_answer_the_five_questions(html):
    said = told(html)
    assert "It does not overfit: with each network at its own best epoch" in said
    answers = Path("metrics/plots/predicted.csv").read_text().split()[1:]
    wrong = Counter(pair for pair in answers if len(set(pair.split(","))) > 1)
    assert wrong
    for pair, rows in wrong.most_common(1):
        assert f"{pair.replace(',', ' taken for ')} ({rows} row" in said
    assert re.search(r"the linear model \(0\.\d{3}\)[^.]* (by more than chance|within noise)", said)
    assert "Yes: fine-tuning is better than training from scratch, by more than chance" in said
    setting, _, importance = Path("metrics/plots/importance.csv").read_text().split()[1].split(",")
    share = f"{float(importance):.2f}"
    assert f"{setting} mattered most: alone it explains {share} of the ranking" in said


def test_overfitting_is_told_with_the_remedy_that_fits(folder):
    reported.figures(folder, "train", val_loss=0.9, train_loss=0.1, overfit_gap=0.8)
    html = page.write(tracked.here())
    assert "It overfits strongly: with each network at its own best epoch" in told(html)
    assert "17.5 parameters per row: smaller model.hidden" in told(html)
    applies = re.findall(r'row">(too|large)[^<]*</th><td>(yes|no)', html)
    assert applies == [("too", "yes"), ("too", "yes"), ("large", "no")]
    reported.figures(folder, "train", parameters_per_row=0.5)
    applies = re.findall(r'row">(too|large)[^<]*</th><td>(yes|no)', page.write(tracked.here()))
    assert applies == [("too", "no"), ("too", "no"), ("large", "yes")]


def test_every_name_of_the_data_is_shown_and_never_run(folder):
    reported.schema(folder, {"classes": [EVIL, *"123456789"]})
    quoted = '"' + EVIL.replace('"', '""') + '"'
    for name in ("metrics/errors.csv", "metrics/plots/predicted.csv", "metrics/audit.csv"):
        path = folder / name
        path.write_text(re.sub(r"\b(8|pixel_0_0)(?=,)", lambda _: quoted, path.read_text()))
    html = page.write(tracked.here(), None, lambda *_: None)
    assert "<script" not in html
    assert {tag for tag, _ in parsed(html).seen} & {"script", "img", "link", "iframe"} == set()
    assert unescape(html).count(EVIL) >= 4  # classes, confusions, wrong rows, findings, schema


def test_nothing_is_loaded_and_every_tag_is_closed(html):
    found = parsed(html)
    assert found.wrong == []
    assert found.open == []
    assert len(found.seen) > 500
    for tag, attributes in found.seen:
        for name in ("src", "href", "xlink:href", "data", "srcset"):
            assert (attributes.get(name) or "#").startswith("#"), (tag, attributes)


def test_ids_are_unique_and_every_reference_has_one(html):
    ids = re.findall(r' id="([^"]+)"', html)
    assert len(ids) == len(set(ids)) > 10
    used = re.findall(r'(?:url\(#|href="#|labelledby=")([^")]+)', html)
    assert used
    assert set(used) <= set(ids)


def test_tables_and_headings_serve_a_screen_reader(html):
    found = parsed(html).seen
    headings = [tag for tag, _ in found if re.fullmatch("h[1-6]", tag)]
    assert headings[0] == "h1"
    assert headings.count("h1") == 1
    assert all(attributes.get("scope") for tag, attributes in found if tag == "th")
    assert {"main", "nav", "header", "caption"} <= {tag for tag, _ in found}


def test_a_plot_is_drawn_in_both_widths_with_the_rows_of_both_states(folder):
    reported.figures(folder, "train", val_loss=0.5)
    seen = []

    def drawn(plot, tables, width):
        seen.append((plot.name, width, {label: sorted(texts) for label, texts in tables.items()}))
        return f'<svg id="a"><use href="#a"/>{plot.name}</svg>'

    html = page.write(tracked.here(), tracked.at("HEAD"), drawn)
    names = {name for name, _, _ in seen}
    assert names
    assert {width for _, width, _ in seen} == set(figures.WIDTHS.values())
    assert all([*tables] == ["HEAD", "this folder"] for _, _, tables in seen)
    assert html.count("<svg") == len(seen) == len(names) * len(figures.WIDTHS)


def test_a_page_of_much_is_small(folder, html):
    assert len(html.encode()) < MOST
    rows = "".join(f"base,{row},1,2,0.5,a b c\n" for row in range(100_000))
    (folder / "metrics/errors.csv").write_text(
        "model,row,actual,predicted,confidence,top_features\n" + rows
    )
    much = page.write(tracked.here())
    assert "and 99,950 more" in much
    assert len(much.encode()) < MOST / 2


def test_two_states_stand_side_by_side(folder):
    text = (folder / "params.yaml").read_text()
    (folder / "params.yaml").write_text(text.replace("momentum: 0.8537", "momentum: 0.5", 1))
    predicted = folder / "metrics/plots/predicted.csv"
    pairs = [line.split(",") for line in predicted.read_text().splitlines()[1:]]
    actual = [pair[0] for pair in pairs]
    corrected = sum(one != other for one, other in pairs[20:])
    wrong = [f"{name},{'x' if row < 20 else name}" for row, name in enumerate(actual)]
    predicted.write_text("\n".join(["actual,predicted", *wrong]) + "\n")
    low, high = 0.757, 0.889
    reported.figures(folder, "evaluate", test_accuracy=100 / 120, test_accuracy_low=low,
                     test_accuracy_high=high)  # fmt: skip
    reported.figures(folder, "train", val_loss=0.5)
    now, then = tracked.here(), tracked.at("HEAD")
    found = changes.difference("test_accuracy", then, now)
    assert found
    assert found.clear
    assert f"the same test rows, {corrected} now right, 20 now wrong" in found.basis
    unknown = changes.difference("val_loss", then, now)
    assert unknown
    assert unknown.word() == "cannot be told: it has no interval"
    compared, settings = comparison.section(then, now).tables
    assert settings.rows == [["train.momentum", "0.8537", "0.5"]]
    assert compared.header[1:3] == ("HEAD", "this folder")
    commit(folder)
    assert tracked.here().changed is False


def test_other_test_rows_are_not_compared_one_by_one(folder):
    lock = (folder / "dvc.lock").read_text()
    evaluate = lock.index("  evaluate:")
    place = lock.index("source/test.pt", evaluate)
    other = lock[:place] + re.sub(r"md5: \w{4}", "md5: 0000", lock[place:], count=1)
    (folder / "dvc.lock").write_text(other)
    low, high = 0.757, 0.889
    reported.figures(folder, "evaluate", test_accuracy=100 / 120, test_accuracy_low=low,
                     test_accuracy_high=high)  # fmt: skip
    found = changes.difference("test_accuracy", tracked.at("HEAD"), tracked.here())
    assert found
    assert found.clear
    assert found.basis.startswith("95 % interval -0.2")


def test_text_stands_out_from_its_ground_by_day_and_by_night():
    """WCAG 2.2, 1.4.3: a contrast of at least 4.5."""
    style = (Path(page.__file__).parent / "page.css").read_text()
    schemes = [
        dict(re.findall(r"--(\w+): #(\w{6})", block))
        for block in re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    ]
    assert len(schemes) == 3  # light, dark, print
    for scheme in schemes:
        for ground in ("ground", "panel"):
            for text in ("text", "soft", "accent"):
                assert contrast(scheme[text], scheme[ground]) > 4.5, (text, ground)


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def luminance(colour: str) -> float:
    shares = [int(colour[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shares]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_values_of_the_same_rows_are_compared_in_pairs(folder):
    reported.regression(folder)
    commit(folder)
    reported.figures(folder, "evaluate", test_rmse=1.4)
    found = changes.difference("test_rmse", tracked.at("HEAD"), tracked.here())
    assert found
    assert (found.clear, found.basis) == (None, "there are few test rows")
    path = folder / "metrics/plots/predicted.csv"
    rows = [f"{row},{row + (-1) ** row * (1 + row / 10)}" for row in range(12)]
    path.write_text("\n".join(["actual,predicted", *rows]) + "\n")
    commit(folder)
    found = changes.difference("test_rmse", tracked.at("HEAD"), tracked.here())
    assert found
    assert found.clear is False
    assert found.basis == "the same 12 test rows, squared errors in pairs"


def test_a_plot_that_cannot_be_drawn_says_why_and_leaves_out_the_revision_first(folder):
    def older(plot, tables, width):
        if "HEAD" in tables:
            raise DvcException("a column is missing")
        return "<svg></svg>"

    def neither(plot, tables, width):
        raise DvcException("no such file")

    html = page.write(tracked.here(), tracked.at("HEAD"), older)
    assert "Without HEAD: a column is missing" in html
    assert "<svg" in html
    html = page.write(tracked.here(), tracked.at("HEAD"), neither)
    assert "Not drawn: no such file; run `dvc repro`." in html
    assert "<svg" not in html


def test_large_images_are_there_once_and_too_many_are_left_out(folder):
    size = figures.LARGE

    def large(plot, tables, width):
        return f"<svg>{'x' * size}</svg>"

    html = page.write(tracked.here(), None, large)
    assert html.count('class="wide"') > 5
    assert 'class="narrow"' not in html
    size = figures.MOST // 2
    html = page.write(tracked.here(), None, large)
    assert html.count('class="wide"') == 1
    assert html.count("Too much for this page") > 5
    assert len(html.encode()) < MOST
