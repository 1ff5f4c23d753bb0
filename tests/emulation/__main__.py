"""Compares small projects, natively and on emulated processors, byte for byte.

Exit status: 0 all the same; 1 something differs; 2 there is no emulator.
"""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from stages.common import arithmetic
from tests.emulation import comparison, processors
from tests.emulation.comparison import Result

LIST = Path(__file__).with_name("operations.txt")
AT_ONCE = 2  # processes


def main() -> int:
    """Run, compare, print, and return the exit status."""
    given = _arguments()
    if lacking := processors.lacking():
        print(f"error: {lacking}", file=sys.stderr)
        return 2
    reference, others = _run(given.change)
    lines, same = comparison.report(reference, others)
    print("\n".join(lines))
    if given.update and same:
        LIST.write_text("".join(f"{name}\n" for name in comparison.operations(reference)))
        print(f"written: {LIST.name}")
    return 0 if same else 1


def _run(change: list[str]) -> tuple[Result, dict[str, Result]]:
    """Return the native result with all settings, and the results to compare with it."""
    jobs = [(processor, change) for processor in processors.EMULATED]
    jobs += [(processors.NATIVE, change)] if change else []
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running = [pool.submit(processors.run, *job) for job in jobs]
        reference = pool.submit(processors.run, processors.NATIVE)
        what = " ".join(["", *change])
        others = {
            f"{processor}{what}": each.result()
            for (processor, _), each in zip(jobs, running, strict=True)
        }
        return reference.result(), others


def _arguments() -> argparse.Namespace:
    """Read the command line; `change` holds the arguments that the runner is given."""
    parser = argparse.ArgumentParser(prog="python -m tests.emulation", description=__doc__)
    names = [*arithmetic.PORTABLE, *arithmetic.ONE_THREAD]
    parser.add_argument("--update", action="store_true", help=f"write {LIST.name} if all is same")
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        choices=names,
        help="run without a setting, and compare with the native run that has all of them",
    )
    parser.add_argument(
        "--with",
        dest="other",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="the same with another value of a setting",
    )
    given = parser.parse_args()
    given.change = [f"--without={name}" for name in given.without]
    given.change += [f"--with={pair}" for pair in given.other]
    return given


if __name__ == "__main__":
    sys.exit(main())
