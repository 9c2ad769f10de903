"""Parses texts that name a pool or an alpha source: "gated(per=channel)", "mymodule:MyPool(size=3)"."""

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

  A value that is a Python literal is converted; any other stays a string, which may be a spec itself.

  Args:
    text: the spec.
    what: the argument that `text` was given for, for the message.

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
  """Splits a text at the separators outside of brackets and quotes, and drops empty parts."""
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
  """The value of a Python literal, infinity for "inf", or the text itself."""
  try:
    return ast.literal_eval(text)
  except (ValueError, SyntaxError):
    return float("inf") if text == "inf" else text


def is_importable(name: str) -> bool:
  """Whether a name is of the form "module:object"."""
  return ":" in name


def import_object(name: str, what: str) -> Any:
  """Imports the object that "module:object" names; the working directory is searched too.

  Args:
    name: "module:object".
    what: the argument that `name` was given for, for the message.

  Raises:
    ImportError: there is no such module (the message lists the searched folders) or object, or importing the
      module raises.
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
  """The folders of sys.path, without those of the standard library and of installed packages."""
  standard = (sysconfig.get_paths()["stdlib"], sysconfig.get_paths()["purelib"])
  folders = dict.fromkeys(os.path.abspath(folder or os.getcwd()) for folder in sys.path)
  return [folder for folder in folders if not folder.startswith(standard) and not folder.endswith(".zip")]
