"""report: the headline figures as a table, and the whole story as one page.

A command, no DVC stage, which only reads what the stages have written:
python -m stages.report [--output FILE] [--against REV] [--card]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stages.common.launch import guard

PAGE, COMPARISON, CARD = "report.html", "comparison.html", "model_card.md"


def report(output: str = "", against: str = "") -> None:
    """Print the headline figures and write the page, or those of both where a revision is named."""
    from stages.common import files
    from stages.reporting import comparison, headline, page, tracked

    now, then = tracked.here(), tracked.at(against) if against else None
    path = output or (COMPARISON if then else PAGE)
    files.write_bytes(Path(path), page.write(now, then).encode())
    told = comparison.lines(then, now) if then else headline.lines(now)
    print(*told, f"the whole {'comparison' if then else 'report'}: {path}", sep="\n")


def card(output: str = CARD) -> None:
    """Write the model card."""
    from stages.common import files
    from stages.reporting import card, tracked

    files.write_bytes(Path(output), card.write(tracked.here()).encode())
    print(f"the model card: {output}")


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m stages.report",
        description="Print the headline figures and write the report, one HTML file.",
    )
    parser.add_argument(
        "--output", metavar="FILE", help=f"the file written; {PAGE}, {COMPARISON} or {CARD}"
    )
    one = parser.add_mutually_exclusive_group()
    one.add_argument("--against", metavar="REV", default="", help="a revision to compare with")
    one.add_argument("--card", action="store_true", help="write the model card, no page")
    return parser.parse_args()


def main() -> None:
    """Write what was asked for."""
    asked = arguments()
    if asked.card:
        card(asked.output or CARD)
    else:
        report(asked.output, asked.against)


if __name__ == "__main__":
    sys.exit(guard(main))
