"""Reports expected errors in one line instead of a traceback."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def report_errors() -> Iterator[None]:
  """Prints an expected error and exits with status 1; `PPOOL_TRACEBACK=1` raises it with its traceback."""
  try:
    yield
  except KeyboardInterrupt:
    sys.exit("stopped at once; what had been saved is kept")
  except (ValueError, TypeError, KeyError, OSError, ImportError, ArithmeticError) as error:
    if os.environ.get("PPOOL_TRACEBACK"):
      raise
    text = error.args[0] if isinstance(error, KeyError) and error.args else error
    sys.exit(f"error: {text} ({type(error).__name__}; PPOOL_TRACEBACK=1 shows where)")
