"""The last handler: an error that nothing else handles is kept in a file, and told in one line.

This module uses the standard library only, because it also reports that a package cannot be imported.
"""

import os
import shlex
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path

from ops import ROOT

DETAILS = ROOT / ".rinha/error.log"  # of the last defect


def report(error: BaseException) -> str:
    """Keep the details of an error in a file; return one line that says what happened and where the details are."""
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    if isinstance(error, ImportError):
        reason = f"the packages in {sys.prefix} are incomplete ({reason}); remove it, and ./rinha makes it again"
    else:
        reason = f"this is a defect of rinha ({reason})"
    heading = f"{time.strftime('%F %T %z')} {shlex.join(sys.argv)}\nPython {sys.version}\n"
    details = heading + "".join(traceback.format_exception(error))
    try:
        return f"{reason}; the details are in {_write(details)}"
    except OSError as failure:
        return f"{reason}; the details cannot be written ({failure.strerror})"


def report_threads() -> None:
    """Report the defects of threads on standard error, in one line each."""
    threading.excepthook = lambda one: print(f"rinha: {report(one.exc_value or one.exc_type())}", file=sys.stderr)


def _write(details: str) -> Path:
    """Write the file; return its path, which is in a temporary directory if the checkout cannot be written."""
    data = details.encode(errors="backslashreplace")
    try:
        DETAILS.parent.mkdir(exist_ok=True)
        DETAILS.write_bytes(data)
        DETAILS.chmod(0o600)  # the command line may have a term or a person
        return DETAILS
    except OSError:
        file, path = tempfile.mkstemp(prefix="rinha-error-")
        with os.fdopen(file, "wb") as output:
            output.write(data)
        return Path(path)
