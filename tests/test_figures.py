"""The figures are drawn, and Figure 2 shows what the paper says it does."""

import matplotlib.image
import numpy as np
import pytest

from ppool_jax.figures import corners, shown, surfaces
from ppool_jax.figures.__main__ import FIGURES, main


def test_both_figures_are_written(tmp_path, capsys):
  """`--out DIR` makes the folder, writes two PNG files, names them and leaves nothing else behind."""
  out = tmp_path / "new" / "figures"
  assert main(["--out", str(out)]) == 0
  assert sorted(path.name for path in out.iterdir()) == sorted(FIGURES)
  printed = capsys.readouterr().out
  for name in FIGURES:
    assert str(out / name) in printed
    image = matplotlib.image.imread(out / name)
    assert image.shape[:2] == (800, 1600)
    assert image[..., :3].std() > 0.1


def test_unwritable_folder_is_named(tmp_path, capsys):
  """A path that cannot be a folder ends in one line that names it, and exit status 2."""
  blocker = tmp_path / "file"
  blocker.write_text("kept")
  assert main(["--out", str(blocker)]) == 2
  message = capsys.readouterr().err
  assert str(blocker) in message
  assert message.count("\n") == 1
  assert blocker.read_text() == "kept"
  with pytest.raises(SystemExit, match="2"):
    main([])


def test_corner_points_survive_as_the_paper_says():
  """At the corners P-pooling at alpha = 2 keeps white and grey; DPP and max lose all but one."""

  def survival(pool):
    return np.array(corners.survival(corners.pooled(pool[1])))

  white, grey, dark = survival(shown.polynomial(2))
  assert min(white, grey) > 0.4
  assert dark == pytest.approx(0)
  np.testing.assert_allclose(survival(shown.DPP), (0, 1, 0), atol=0.01)
  np.testing.assert_allclose(survival(shown.MAX), (1, 0, 0), atol=1e-6)
  np.testing.assert_allclose(survival(shown.AVERAGE), (0, 1, 0), atol=1e-6)


def test_surfaces_have_the_paper_s_shapes():
  """Lp exceeds both inputs, DPP of two elements is their average, P-pooling lies between avg and max."""

  def y(pool):
    return surfaces.surface(pool[1])

  x1, x2, lp = y(shown.LP)
  largest, average = np.maximum(x1, x2), (x1 + x2) / 2
  assert np.all(lp[1:, 1:] > largest[1:, 1:])
  np.testing.assert_allclose(y(shown.DPP)[2], average, atol=1e-6)
  p = y(shown.polynomial(2))[2]
  assert np.all((p >= average - 1e-6) & (p <= largest + 1e-6))
  np.testing.assert_allclose(p[1:, 1:], ((x1**3 + x2**3) / (x1**2 + x2**2 + 1e-30))[1:, 1:], atol=1e-6)
