"""Kills this process at a planned instant; Python imports it at the start when it is on the path.

CHAOS is a JSON object:
  target     the module after `python -m` that is hit
  operation  N: SIGKILL before the Nth file operation (open to write, rename, remove, mkdir)
  size       N: die in the middle of the write that makes a file longer than N bytes
or
  count      a folder: kill nothing; every module writes the number of its operations there
"""

import atexit
import json
import os
import resource
import signal
import sys

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT
OTHERS = ("os.rename", "os.remove", "os.mkdir", "os.link", "os.truncate")


def act(plan):
    """Set up the kill, or the count, that `plan` asks for."""
    if "size" in plan:  # the kernel writes what fits, then sends the signal
        signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
        resource.setrlimit(resource.RLIMIT_FSIZE, (plan["size"], plan["size"]))
        return
    seen = 0

    def hook(event, arguments):
        nonlocal seen
        if event in OTHERS or (event == "open" and (arguments[2] or 0) & WRITES):
            if str(arguments[0]).startswith("/dev/"):
                return
            seen += 1
            if seen == plan.get("operation"):
                os.kill(os.getpid(), signal.SIGKILL)

    def write():
        total = seen
        with open(os.path.join(plan["count"], sys.orig_argv[2]), "w") as stream:
            stream.write(str(total))

    if "count" in plan:
        atexit.register(write)
    sys.addaudithook(hook)


given = json.loads(os.environ.get("CHAOS", "{}"))
if (
    given
    and sys.orig_argv[1:2] == ["-m"]
    and sys.orig_argv[2] == given.get("target", sys.orig_argv[2])
):
    act(given)
