"""Text that names a pool or an alpha source: "gated", "gated(per=channel)", "mymodule:MyPool(size=3)"."""

from __future__ import annotations

import ast
import importlib
import os
import re
import sys
import sysconfig
from typing import Any

from ppool_jax.utils.lookup import did_you_mean

_CALL = re.compile(r"([^()]*)(?:\((.*)\))?", re.DOTALL)


def parse_spec(text: str, what: str) -> tuple[str, dict[str, Any]]:
  """The name and the keywords of "name" or "name(key=value,...)".

  A value is read as a Python literal where it is one, and else stays text, which may be a spec of its own.

  Args:
    text: the spec.
    what: the argument that it is given for, for the message.

  Raises:
    ValueError: the text has another form.
  """
  match = _CALL.fullmatch(text.strip())
  if not match or not match[1]:
    raise ValueError(f"{what}: expected NAME or NAME(key=value,...), got {text!r}")
  keywords = {}
  for item in split(match[2] or ""):
    key, equals, value = item.partition("=")
    if not equals or not key.strip().isidentifier():
      raise ValueError(f"{what}: expected key=value in {text!r}, got {item!r}")
    keywords[key.strip()] = literal(value.strip())
  return match[1], keywords


def split(text: str, separator: str = ",") -> list[str]:
  """The non-empty parts of a text between separators that lie outside of all brackets and quotes."""
  parts, depth, quote = [""], 0, ""
  for letter in text:
    if quote or letter in "'\"":
      quote = "" if letter == quote else quote or letter
    depth += (letter in "([{") - (letter in ")]}") if not quote else 0
    if letter == separator and depth == 0 and not quote:
      parts.append("")
    else:
      parts[-1] += letter
  return [part for part in parts if part]


def literal(text: str) -> Any:
  """The Python literal that the text is, or the text itself; "inf" is the number."""
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return float("inf") if text == "inf" else text


def is_importable(name: str) -> bool:
  """Whether a name is of the form "module:object"."""
  return ":" in name


def import_object(name: str, what: str) -> Any:
  """The object that "module:object" names; the working directory is among the places that are searched.

  Args:
    what: the argument that it is given for, for the message.

  Raises:
    ImportError: no such module (with the folders that were searched) or object, or the module raises.
  """
  module_name, _, attribute = name.partition(":")
  if os.getcwd() not in sys.path and "" not in sys.path:
    sys.path.append(os.getcwd())
  importlib.invalidate_caches()
  try:
    module = importlib.import_module(module_name)
  except Exception as error:
    missing = isinstance(error, ModuleNotFoundError) and f"{module_name}.".startswith(f"{error.name}.")
    if missing or not module_name:
      folders = ", ".join(_searched())
      raise ImportError(f"{what}: {name!r}: no module {module_name!r} in {folders} or installed") from None
    raise ImportError(
      f"{what}: {name!r}: importing {module_name!r} raised {type(error).__name__}: {error}"
    ) from error
  if not hasattr(module, attribute):
    hint = did_you_mean(attribute, vars(module))
    raise ImportError(f"{what}: {module.__file__} has no {attribute!r}{hint}")
  return getattr(module, attribute)


def _searched() -> list[str]:
  """The folders of sys.path that are neither the standard library's nor of installed packages."""
  ours = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"])
  folders = dict.fromkeys(os.path.abspath(folder or os.getcwd()) for folder in sys.path)
  return [folder for folder in folders if not folder.startswith(ours) and not folder.endswith(".zip")]
