"""The report in a browser without a network: all is drawn, nothing is asked for, a phone fits it.

Skipped where there is no Chromium: it is the Debian package `chromium`.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from stages.reporting.plots import listed
from tests import reported
from tests.imports import ROOT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-logging=stderr",
    "--log-level=0",
    "--virtual-time-budget=5000",
    "--dump-dom",
    "--host-resolver-rules=MAP * ~NOTFOUND",  # no network
)

# The page in a frame as wide as a screen; what a reader would see is measured from outside.
FRAME = """<!DOCTYPE html><meta charset="utf-8">
<iframe id="frame" style="border: 0; width: {width}px; height: 900px" srcdoc="{page}"></iframe>
<pre id="found"></pre>
<script>
frame.onload = () => {{
  const inside = frame.contentDocument, root = inside.documentElement;
  const drawn = (element) => element.getBoundingClientRect().width > 100;
  found.textContent = JSON.stringify({{
    seen: root.clientWidth,
    wide: root.scrollWidth,
    plots: [...inside.querySelectorAll("figure")].map(
      (figure) => [...figure.querySelectorAll(":scope svg")].filter(drawn).length),
    narrow: [...inside.querySelectorAll(".narrow svg")].filter(drawn).length,
    marks: [...inside.querySelectorAll("figure")].map(
      (figure) => [...figure.querySelectorAll("svg path, svg rect, svg text")].filter(
        (mark) => mark.getBoundingClientRect().height > 0).length),
    notes: [...inside.querySelectorAll("figcaption em")].map((note) => note.textContent),
    columns: getComputedStyle(inside.querySelector(".plots"))
      .gridTemplateColumns.split(" ").length,
    remedies: [...inside.querySelectorAll("#learning th")].filter(
      (name) => name.textContent == "remedy"
        && name.getBoundingClientRect().right <= root.clientWidth).length,
    lines: Math.max(...[...inside.querySelectorAll("thead th")].map(
      (name) => name.clientHeight / parseFloat(getComputedStyle(name).lineHeight))),
    small: [...inside.querySelectorAll("p, td")].filter(
      (text) => parseFloat(getComputedStyle(text).fontSize) < 12).length,
    loaded: frame.contentWindow.performance.getEntriesByType("resource").length,
  }});
}};
</script>
"""


def measured(content: str, width: int, folder: Path) -> tuple[dict[str, Any], list[str]]:
    """Return what was measured of a page on a screen of `width` pixels, and console lines."""
    frame = folder / f"frame-{width}.html"
    frame.write_text(FRAME.format(width=width, page=html.escape(content)))
    profile = f"--user-data-dir={folder / 'profile'}"
    command = [str(CHROMIUM), *FLAGS, profile, "--window-size=1400,1000"]
    done = subprocess.run(
        [*command, frame.as_uri()], capture_output=True, text=True, check=True, timeout=120
    )
    found = re.search(r'<pre id="found">(.+?)</pre>', done.stdout)
    assert found, done.stderr
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return json.loads(html.unescape(found[1])), console


@pytest.fixture(scope="module")
def content(tmp_path_factory) -> str:
    """The page with every plot drawn."""
    return reported.drawn_page(tmp_path_factory.mktemp("page") / "project")


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
@pytest.mark.parametrize(("width", "columns"), [(1280, 2), (390, 1)])
def test_the_page_is_whole_without_a_network(content, tmp_path, width: int, columns: int):
    found, console = measured(content, width, tmp_path)
    assert console == []
    assert found["seen"] <= width
    assert found["wide"] <= found["seen"], "it scrolls sideways"
    assert len(found["plots"]) > len(listed(ROOT)) / 2  # some are of a regression only
    assert set(found["plots"]) == {1}, "one image of each plot, the one for this width"
    assert found["notes"] == []
    assert min(found["marks"]) > 10
    assert found["columns"] == columns
    assert found["remedies"] == 2, "the remedy of both tables is seen without scrolling"
    assert found["small"] == 0
    assert found["loaded"] == 0


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_on_paper_every_plot_is_there_and_no_word_is_cut(content, tmp_path):
    """A4 with its margins is 680 pixels wide; the rules for paper take the place of others."""
    paper = content.replace("@media print", "@media all").replace("@media screen", "@media not all")
    assert paper.count("@media all") == paper.count("@media not all") == 1
    found, _ = measured(paper, 680, tmp_path)
    assert len(found["plots"]) > len(listed(ROOT)) / 2
    assert set(found["plots"]) == {1}
    assert found["narrow"] == 0
    assert found["wide"] <= found["seen"]
    assert found["lines"] < 4, "a name of a column breaks into letters"


@pytest.mark.skipif(not CHROMIUM, reason="no Chromium: apt-get install chromium")
def test_what_is_measured_can_fail(content, tmp_path):
    broken = (
        '<p style="width: 2000px; font-size: 8px">wide</p><img src="http://nowhere.test/a.png">'
    )
    found, console = measured(content.replace("<main>", f"<main>{broken}"), 390, tmp_path)
    assert found["wide"] > found["seen"]
    assert found["small"] == 1
    assert any("Content Security Policy" in line for line in console)
