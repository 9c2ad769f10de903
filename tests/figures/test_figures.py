"""The figures are drawn, and show what the paper and docs/THEORY.md state."""

import chex
import jax
import jax.numpy as jnp
import matplotlib.image
import numpy as np
import pytest

from ppool_jax import lp_pool
from ppool_jax.figures import corners, lp_gradient, poolings, surfaces
from ppool_jax.figures.__main__ import FIGURES, main


def test_every_figure_is_written(tmp_path, capsys):
  """The directory is created, the files are printed, and no temporary file remains."""
  out = tmp_path / "new" / "figures"
  assert main(["--out", str(out)]) == 0
  assert sorted(path.name for path in out.iterdir()) == sorted(FIGURES)
  printed = capsys.readouterr().out
  for name in FIGURES:
    assert str(out / name) in printed
    image = matplotlib.image.imread(out / name)
    assert image.shape[:2] == (800, 1600)
    assert image[..., :3].std() > 0.1


def test_unwritable_directory_is_reported(tmp_path, capsys):
  """One line names the path, and the exit status is 2."""
  blocker = tmp_path / "file"
  blocker.write_text("kept")
  assert main(["--out", str(blocker)]) == 2
  message = capsys.readouterr().err
  assert str(blocker) in message
  assert message.count("\n") == 1
  assert blocker.read_text() == "kept"
  with pytest.raises(SystemExit, match="2"):
    main([])


def test_corner_points_survive_as_in_the_paper():
  """P-pooling with alpha = 2 preserves white and gray; DPP and max preserve one of the three."""

  def survival(pool):
    return np.array(corners.survival(corners.pooled(pool[1])))

  white, gray, dark = survival(poolings.polynomial(2))
  assert min(white, gray) > 0.4
  assert dark == pytest.approx(0)
  np.testing.assert_allclose(survival(poolings.DPP), (0, 1, 0), atol=0.01)
  np.testing.assert_allclose(survival(poolings.MAX), (1, 0, 0), atol=1e-6)
  np.testing.assert_allclose(survival(poolings.AVERAGE), (0, 1, 0), atol=1e-6)


def test_surfaces_have_the_shapes_of_the_paper():
  """Lp exceeds both inputs, DPP of two elements is their average, P-pooling is between avg and max."""

  def y(pool):
    return surfaces.surface(pool[1])

  x1, x2, lp = y(poolings.LP)
  largest, average = np.maximum(x1, x2), (x1 + x2) / 2
  assert np.all(lp[1:, 1:] > largest[1:, 1:])
  np.testing.assert_allclose(y(poolings.DPP)[2], average, atol=1e-6)
  p = y(poolings.polynomial(2))[2]
  assert np.all((p >= average - 1e-6) & (p <= largest + 1e-6))
  np.testing.assert_allclose(p[1:, 1:], ((x1**3 + x2**3) / (x1**2 + x2**2 + 1e-30))[1:, 1:], atol=1e-6)


def test_lp_gradients_of_the_figure_equal_the_library():
  """For p >= 1 the formulas equal the gradients of `lp_pool`; at p = 1 every dy/dx is 1."""
  p = np.array([1.0, 1.5, 3.0, 30.0])
  x = np.tile(lp_gradient.WINDOW, (p.size, 1))
  dx, dp = lp_gradient.lp_gradients(x, p)
  with jax.enable_x64(True):
    pool = lambda x, p: lp_pool(x[..., None], p[:, None, None], (x.shape[1],)).sum()  # noqa: E731
    library = jax.grad(pool, (0, 1))(jnp.asarray(x), jnp.asarray(p))
    chex.assert_trees_all_close((dx, dp), library, rtol=1e-9, atol=1e-13)
  np.testing.assert_allclose(dx[0], 1, rtol=1e-14)


def test_p_pooling_gradients_equal_the_formulas():
  """The formulas of docs/THEORY.md, section 1."""
  alpha = np.array([0.1, 1.0, 5.0])
  x = np.tile(lp_gradient.WINDOW, (alpha.size, 1))
  w = x ** alpha[:, None]
  w /= w.sum(1, keepdims=True)
  y = (w * x).sum(1, keepdims=True)
  dx, dalpha = lp_gradient.p_pooling_gradients(x, alpha)
  np.testing.assert_allclose(dx, w * (1 + alpha[:, None] * (1 - y / x)), rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(dalpha, (w * (x - y) * np.log(x)).sum(1), rtol=1e-4)
  chex.assert_type([dx, dalpha], np.float32)
