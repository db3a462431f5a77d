"""Maps whose gap and whose KL are known: exact ones, linear ones, and ones that fold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from diffuse_cli import catalog
from diffuse_cli.analysis import student_quality as s
from diffuse_cli.analysis.map_gap import map_gap
from diffuse_cli.analysis.quality_tables import student_rows
from diffuse_cli.datasets.checkerboard import checkerboard
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.flow_maps import exact_jump, solve_in_double
from diffuse_cli.diffusion.process import CLEAN, Level, Process
from diffuse_cli.diffusion.schedules import cosine
from diffuse_cli.metrics.noise_floors import Score
from diffuse_cli.models.draw import Drawn
from diffuse_cli.samplers.grids import levels_of
from tests.samplers.table import COVARIANCE, MEAN, PARTS, STD

GAUSSIAN = exact.gaussian(MEAN, COVARIANCE)
PROCESS = Process(cosine(1000), 1000)
STANDARD = exact.gaussian(np.zeros(2), np.eye(2))


def levels(steps):
    return levels_of(catalog.build("grid", "flow_time"), PROCESS, steps)


def first_of(grid):
    return Level(*(float(field[0]) for field in grid))


def exact_ends_of(law, z, level):
    return solve_in_double(jax.tree_util.Partial(exact.denoiser(law)), z, level, CLEAN)


def white_noise(n=512):
    """Noise whose mean is 0 and whose covariance is I exactly, so that means of quadratic forms have no error."""
    z = np.random.default_rng(0).standard_normal((n, 2))
    z -= z.mean(axis=0)
    return np.linalg.solve(np.linalg.cholesky(np.cov(z.T, bias=True)), z.T).T.astype(np.float32)


def one_jump(f):
    """f as a Jump, of which one from a level to itself changes nothing."""
    return jax.tree_util.Partial(lambda x, now, nxt: jnp.where(now.log_snr == nxt.log_snr, x, f(x)))


def judged(f, law, z=None):
    z, grid = white_noise() if z is None else z, levels(1)
    ends = s.ends_of(one_jump(f), grid, z)
    return ends, s.student_kl(ends, z, first_of(grid), s.log_density(law))


def _of_gaussian(x, now, nxt):
    values, basis = (jnp.asarray(part, x.dtype) for part in np.linalg.eigh(COVARIANCE))
    spread = lambda level: jnp.sqrt(level.alpha**2 * values + level.sigma**2)  # noqa: E731
    mean = jnp.asarray(MEAN, x.dtype)[None]
    scaled = (x - now.alpha * mean) @ basis * (spread(nxt) / spread(now))[None]
    return nxt.alpha * mean + scaled @ basis.T


def test_the_exact_map_of_a_gaussian_has_no_gap_and_no_kl_in_any_number_of_jumps():
    z, log_p = white_noise(), s.log_density(GAUSSIAN)
    truth = exact_ends_of(GAUSSIAN, z[:150], first_of(levels(1)))  # more than are solved together
    for steps in s.EVALUATIONS:
        ends = s.ends_of(jax.tree_util.Partial(_of_gaussian), levels(steps), z)
        kl = s.student_kl(ends, z, first_of(levels(1)), log_p)
        assert map_gap(ends.x[:150], truth).rms < 1e-5, steps
        assert (abs(kl.value) < 1e-4, kl.stderr < 1e-4, kl.folds, kl.outside) == (True, True, 0, 0), steps


def test_the_exact_map_of_a_mixture_has_no_gap_and_no_kl(x64):
    law = exact.gaussians(PARTS, np.tile(STD**2 * np.eye(2), (len(PARTS), 1, 1)))
    z, jump = white_noise()[:16].astype(np.float64), exact_jump(jax.tree_util.Partial(exact.denoiser(law)))
    ends = s.ends_of(jump, levels(2), z)
    kl = s.student_kl(ends, z, first_of(levels(1)), s.log_density(law))
    assert map_gap(ends.x, exact_ends_of(law, z, first_of(levels(1)))).rms < 1e-5
    assert abs(kl.value) < 1e-3
    assert kl.stderr < 1e-3  # not only in the mean


def test_a_wrong_linear_map_has_the_gap_and_the_kl_of_their_closed_forms():
    a, b = np.array([[1.1, 0.3], [-0.2, 0.6]]), np.array([0.5, 0.1])
    ends, kl = judged(lambda x: x @ jnp.asarray(a.T, x.dtype) + jnp.asarray(b, x.dtype)[None], GAUSSIAN)
    values, basis = np.linalg.eigh(COVARIANCE)
    root = basis * np.sqrt(values) @ basis.T  # the flow between Gaussians is symmetric
    gap = map_gap(ends.x, exact_ends_of(GAUSSIAN, white_noise(), first_of(levels(1))))
    assert gap.rms**2 == pytest.approx(np.sum((a - root) ** 2) + np.sum((b - MEAN) ** 2), rel=1e-3)
    inverse, off = np.linalg.inv(COVARIANCE), b - MEAN
    expected = np.trace(inverse @ a @ a.T) + off @ inverse @ off - 2
    expected += np.log(np.linalg.det(COVARIANCE) / np.linalg.det(a @ a.T))
    assert kl.value == pytest.approx(expected / 2, rel=1e-3)
    assert kl.folds == 0


def test_a_reflection_folds_everywhere_and_has_the_density_of_what_it_reflects():
    _, kl = judged(lambda x: x * jnp.array([[-1.0, 1.0]]), STANDARD)
    assert (kl.folds, kl.outside) == (1, 0)
    assert abs(kl.value) < 1e-4


def test_where_a_map_folds_the_kl_is_a_lower_bound():
    """Of |z| from N(0, 1) it is log 2, since the half of the line has twice the density."""
    _, kl = judged(lambda x: jnp.stack([jnp.abs(x[:, 0]), x[:, 1]], axis=1), STANDARD)
    assert 0.4 < kl.folds < 0.6
    assert kl.value == pytest.approx(0, abs=1e-4)
    assert kl.value < np.log(2)


def test_samples_where_there_are_no_data_have_an_infinite_kl():
    """A checkerboard is half of its square, and most of a normal law lies in that."""
    _, kl = judged(lambda x: x, checkerboard().exact())
    assert (kl.value, kl.stderr) == (None, None)
    assert 0.4 < kl.outside < 0.7


def test_the_gap_says_whether_few_points_make_it_and_leaves_out_what_was_not_solved():
    ends, truth = np.zeros((100, 2)), np.full((100, 2), 0.1)
    truth[:3], truth[3] = 3.0, np.nan
    gap = map_gap(ends, truth)
    assert (gap.n, gap.unsolved, gap.half_from) == (99, 1, 2 / 99)
    assert gap.median == pytest.approx(0.1 * np.sqrt(2))
    assert gap.rms**2 == pytest.approx((3 * 18 + 96 * 0.02) / 99)


def test_the_table_marks_bounds_and_verdicts():
    scores = {"w2": Score(0.3, 0.1, 0.01, 100, 20, False)}
    kls = [s.StudentKl(0.5, 0.01, 0.2, 0, 64), s.StudentKl(0.25, 0.01, 0, 0, 64), s.StudentKl(None, None, 0, 0.1, 64)]
    drawn = [Drawn(np.zeros((1, 2)), CLEAN, None, evals, 0.0) for evals in (1, 2, 4)]
    columns = zip(s.methods("any"), drawn, kls, strict=False)
    table = student_rows([s.Judgement(method, each, scores, None, kl) for method, each, kl in columns])
    rows = {name: cells for name, *cells in table}
    assert rows["KL(student ‖ data), nats"] == ["≥ 0.500", "0.250", "∞", "0", "64"]
    assert rows["w2"] == ["0.300 ≠"] * 3 + ["0.100 ± 0.010", "100"]
    assert "map gap, rms" not in rows
