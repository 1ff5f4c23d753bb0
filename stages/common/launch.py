"""Start of every stage: check the settings, choose the arithmetic, run, report errors.

Exit status: 0 done; 2 the user has something to mend; 130 interrupted (Ctrl-C);
143 terminated. torch is imported only after the settings have been checked, so a
mistyped key is reported in a fraction of a second. Everything else is imported under
`guard`, so that a signal during the imports is answered in a line, too.
"""

from __future__ import annotations

import errno
import os
import re
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import TYPE_CHECKING, NoReturn

from stages.common.errors import UserError

if TYPE_CHECKING:
    from stages.common.graph import Declared
    from stages.common.settings import Settings

NO_MEMORY = re.compile("not enough memory|can't allocate memory|out of memory|size calculation")


Work = Callable[["Settings", "Declared"], None]


class Terminated(KeyboardInterrupt):
    """SIGTERM has come."""


def launch(stage: str, run: Work) -> NoReturn:
    """Run one stage of dvc.yaml with the settings of params.yaml and leave the process."""
    if sys.argv[1:]:
        sys.exit(
            _complain(
                f"python -m stages.{stage} takes no arguments; its settings are in params.yaml", 2
            )
        )
    sys.exit(guard(lambda: execute(stage, run)))


def command(stage: str, run: Work) -> NoReturn:
    """Run a command that reads the finished files of a stage and leave the process."""
    sys.exit(guard(lambda: run(*_start(stage))))


def execute(stage: str, run: Work) -> None:
    """Run one stage; its outputs are put in place when it has ended well."""
    from stages.common import outputs, resume

    settings, declared = _start(stage)
    with outputs.staged(declared, settings) as paths:
        run(settings, paths)
    resume.clear(stage)


def _start(stage: str) -> tuple[Settings, Declared]:
    """Return the checked settings and files of a stage; torch has their arithmetic then."""
    from stages.common import arithmetic, memory, params
    from stages.common.graph import Declared

    memory.keep()
    settings = params.load()
    declared = Declared.read(stage)
    arithmetic.prepare(settings.arithmetic)
    arithmetic.check(settings.arithmetic)
    return settings, declared


def guard(run: Callable[[], None]) -> int:
    """Call `run` and return the exit status; a user's error becomes one line on stderr."""
    signal.signal(signal.SIGTERM, _terminate)
    try:
        run()
    except UserError as error:
        return _complain(str(error), 2)
    except KeyboardInterrupt as stop:
        word, status = ("terminated", 143) if isinstance(stop, Terminated) else ("interrupted", 130)
        return _complain(f"{word}: this step recorded nothing, run the same command again", status)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not NO_MEMORY.search(str(error)):
            raise
        return _complain("not enough memory: use a smaller table, batch or network", 2)
    except BrokenPipeError:  # the reader of what is printed has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.filename or error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return _complain(f"{error.filename or 'a file'}: {error.strerror}", 2)
        raise
    return 0


def _complain(message: str, status: int) -> int:
    print("error: " + " ".join(message.split()), file=sys.stderr)
    return status


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise Terminated
