"""The direction of imports: commands on top, every room imports only rooms below it; no circles."""

import ast

import pytest

from tests.helpers.training import ROOT

# From the top down; rooms of one line may not import each other.
LEVELS = (
  ("commands",),
  ("reporting", "serving"),
  ("studies", "analysis"),
  ("planning", "comparison", "submission"),
  ("loop",),
  ("evaluation",),
  ("experiment",),
  ("step",),
  ("visualization",),
  ("checkpointing",),
  ("data",),
  ("distributed",),
  ("utils",),
)
LEVEL = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


def modules(package):
  files = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / package).rglob("*.py")
  }
  return {name.removesuffix(".__init__"): path for name, path in files.items()}


ALL = {name: path for package in ("ppool_jax", "train", "configs") for name, path in modules(package).items()}


def imported(name):
  """The modules of this project that a module imports, anywhere in it."""
  for node in ast.walk(ast.parse(ALL[name].read_text())):
    if isinstance(node, ast.ImportFrom) and node.module:
      for alias in node.names:
        full = f"{node.module}.{alias.name}"
        yield full if full in ALL else node.module
    elif isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)


def room(name):
  parts = name.split(".")
  return parts[1] if len(parts) > 1 and parts[1] in LEVEL and parts[-1] != "__main__" else "commands"


def test_every_folder_is_a_room_and_says_what_it_is():
  folders = {path.name for path in (ROOT / "train").iterdir() if path.is_dir() and path.name != "__pycache__"}
  assert folders == set(LEVEL) - {"commands"}
  for package in [name for name, path in ALL.items() if path.name == "__init__.py"]:
    assert ast.get_docstring(ast.parse(ALL[package].read_text())), package


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("train")])
def test_imports_point_down(name):
  for other in imported(name):
    assert not other.startswith("configs"), f"{name} imports {other}"
    if not other.startswith("train."):
      continue
    mine, theirs = room(name), room(other)
    assert theirs != "commands", f"{name} imports the command {other}"
    assert LEVEL[theirs] > LEVEL[mine] or theirs == mine, f"{name} imports {other}"


def test_the_library_does_not_import_the_program():
  for name in [name for name in ALL if name.startswith("ppool_jax")]:
    assert not [other for other in imported(name) if other.split(".")[0] in ("train", "configs")], name


LIBRARY = ("utils", "pooling", "layers", "models", "weights")


@pytest.mark.parametrize("name", [name for name in ALL if name.startswith("ppool_jax.")])
def test_imports_of_the_library_point_down(name):
  """utils <- pooling <- layers <- models <- weights; metrics and figures are leaves."""
  mine = name.split(".")[1]
  if mine not in LIBRARY:
    return
  for other in imported(name):
    theirs = other.split(".")[1] if other.startswith("ppool_jax.") else ""
    if theirs in LIBRARY:
      assert LIBRARY.index(theirs) <= LIBRARY.index(mine), f"{name} imports {other}"


# The packages and modules of the library that a sub-room may import besides its own.
MODELS_SHARED = tuple(
  f"ppool_jax.models.{name}"
  for name in ("dilation", "dropout", "grid", "network", "pool_slots", "upsampling")
)
SUB_ROOMS = {
  "ppool_jax.models.backbones": (*MODELS_SHARED, "ppool_jax.layers", "ppool_jax.pooling", "ppool_jax.utils"),
  "ppool_jax.models.heads": (*MODELS_SHARED, "ppool_jax.layers", "ppool_jax.pooling", "ppool_jax.utils"),
  "ppool_jax.weights.readers": (),
  "ppool_jax.weights.mappings": ("ppool_jax.weights.preprocess",),
  "ppool_jax.metrics": (),
  "ppool_jax.figures": ("ppool_jax.pooling", "ppool_jax.utils"),
}


def within(name, package):
  return f"{name}.".startswith(f"{package}.")


@pytest.mark.parametrize("package", SUB_ROOMS)
def test_sub_rooms_import_only_what_they_may(package):
  """Backbones and heads know neither each other nor the registry; readers and mappings not each other."""
  allowed = (package, *SUB_ROOMS[package])
  for name in [name for name in ALL if within(name, package)]:
    for other in [other for other in imported(name) if within(other, "ppool_jax")]:
      assert any(within(other, room) for room in allowed), f"{name} imports {other}"


def test_shared_modules_of_models_do_not_import_networks():
  for name in MODELS_SHARED:
    for other in [other for other in imported(name) if within(other, "ppool_jax.models")]:
      assert other in MODELS_SHARED, f"{name} imports {other}"
