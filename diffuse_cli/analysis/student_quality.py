"""How good a student is, a network that jumps from noise to data in a few evaluations.

Two figures need no noise floor, since an exact map has 0 of both. The map gap compares each draw of noise z with the
end that the exact flow gives it, |f(z) - X_{1→0}(z)|; its root mean square bounds the 2-Wasserstein distance of the
samples from above. The KL is that of the law of the samples f(z) from the law of the data,

    KL(student ‖ data) = E_z[log p_1(z) - log |det J_f(z)| - log p(f(z))],

by the change of variables, J_f the Jacobian of all jumps together. Where f folds, several z end at one place, whose
density is the sum over them; the figure, which counts one of them, is then a lower bound. det J_f < 0 tells a fold,
since the exact map has none.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli import catalog
from diffuse_cli.analysis.map_gap import MapGap, exact_ends, first_noise, has_map_gap, map_gap
from diffuse_cli.analysis.quality import Quality
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.flow_maps import Jump
from diffuse_cli.diffusion.map_losses import Jumps
from diffuse_cli.diffusion.process import CLEAN, Level
from diffuse_cli.metrics.noise_floors import Score
from diffuse_cli.models.data import truth_of
from diffuse_cli.models.defaults import OF_JUMPS
from diffuse_cli.models.draw import Drawn, Method, draw_samples, most_steps
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.grids import levels_of

LogDensity = Callable[[np.ndarray], np.ndarray]  # points [n, d] -> nats [n]

EVALUATIONS = (1, 2, 4, 8)
_MAPPED = 8192  # draws of noise that are followed through the jumps of a student
_SOLVED = 1024  # of them, that are followed along the exact flow, which takes some seconds
_NO_DENSITY = -1e9  # nats: less is no density; the exact laws of boxes are a little wider than the boxes
_MOST_COLUMNS = 64  # of data whose Jacobians are computed


class StudentKl(NamedTuple):
    """KL(student ‖ data) over n draws of noise, nats.

    value, stderr: None where it is infinite. folds: the share of z with det J_f < 0; where there are any, the value is
    a lower bound. outside: the share of f(z) where the data have no density; where there are any, the KL is infinite.
    """

    value: float | None
    stderr: float | None
    folds: float
    outside: float
    n: int


class Judgement(NamedTuple):
    """A student by one number of evaluations.

    scores: name of metric -> Score, by the floor of the Quality. gap: None where the exact map is not known, or it is
    not the map of the flow that the student has learned. kl: None where the law is not known.
    """

    method: Method
    drawn: Drawn
    scores: dict[str, Score]
    gap: MapGap | None
    kl: StudentKl | None

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        return {
            "evals": self.drawn.evals,
            "sampler": self.method.sampler,
            "steps": self.method.steps,
            "clipped": self.drawn.clipped,
            "map_gap": self.gap and self.gap._asdict(),
            "kl": self.kl and self.kl._asdict(),
            "metrics": {name: score._asdict() for name, score in self.scores.items()},
        }


class Ends(NamedTuple):
    """Where a map takes n draws of noise, model space: x [n, d]; log |det J| [n] and its sign [n] there."""

    x: Float[np.ndarray, "n d"]
    log_det: Float[np.ndarray, " n"]
    sign: Float[np.ndarray, " n"]


def methods(jumps: Jumps) -> list[Method]:
    """The methods by which a student with these jumps is judged: only jumps that it has learned.

    >>> [(each.sampler, each.steps) for each in methods("to_clean")]
    [('jump', 1), ('renoise', 2), ('renoise', 4), ('renoise', 8)]
    """
    own = catalog.build("sampler", OF_JUMPS[jumps].sampler)
    most = most_steps(jumps, own) or max(EVALUATIONS)
    chosen = [("jump", 1), *((OF_JUMPS[jumps].sampler, steps) for steps in EVALUATIONS[1:] if steps <= most)]
    return [Method(sampler, own.grid, steps) for sampler, steps in chosen]


def judge_student(
    model: Model, dataset: Dataset, quality: Quality, method: Method, *, n: int, seed: int
) -> list[Judgement]:
    """A student by each of `methods`, n samples each; dataset: its data, what it has been told included.

    quality: of the same model by any `method`, from the same seed; its noise floors judge all samples. Gaps and KL are
    those of the map without the clip of samples to the box.

    Raises DiffuseError for samples that are not finite.
    """
    law, results, ways = truth_of(dataset), [], methods(model.jumps)
    levels = [levels_of(catalog.build("grid", each.grid), model.process, each.steps) for each in ways]
    noise = first_noise(model, n, seed, _MAPPED)
    first = Level(*(float(field[0]) for field in levels[0]))
    truth = exact_ends(model, noise[:_SOLVED]) if has_map_gap(model) else None
    log_p = None if law is None else log_density(law)
    for each, way in zip(ways, levels, strict=True):
        if each == method:
            drawn, scores = quality.drawn, quality.scores
        else:
            drawn = draw_samples(model, each, n, seed)
            samples = model.standard.to_model(drawn.samples)
            scores = {} if quality.floor is None else quality.floor.scores(samples)
        gap = kl = None
        if each.sampler == "jump" and model.jump is not None and model.dim <= _MOST_COLUMNS:
            ends = ends_of(model.jump, way, noise)
            gap = None if truth is None else map_gap(ends.x[: len(truth)], truth)
            kl = None if log_p is None else student_kl(ends, noise, first, log_p)
        results.append(Judgement(each, drawn, scores, gap, kl))
    return results


def ends_of(jump: Jump, levels: Level, noise: np.ndarray) -> Ends:
    """The Ends of noise [n, d] after jumps from each level of a grid to the next.

    A jump from a level to itself changes nothing: all numbers of jumps up to the most of EVALUATIONS are one program.
    """
    lacking = max(0, max(EVALUATIONS) + 1 - len(levels.log_snr))
    padded = jax.tree.map(lambda field: np.concatenate([np.repeat(field[:1], lacking), field]), levels)
    return Ends(*(np.asarray(each, np.float64) for each in _ends_of(jump, padded, jnp.asarray(noise))))


@jax.jit
def _ends_of(jump: Jump, levels: Level, noise: Float[Array, "n d"]) -> tuple[Array, Array, Array]:
    def leap(x: Array, pair: tuple[Level, Level]) -> tuple[Array, None]:
        return jump(x, *pair), None

    pairs = tuple(jax.tree.map(lambda field, part=part: field[part], levels) for part in (slice(-1), slice(1, None)))
    carried = lambda x: jax.lax.scan(leap, x, pairs)[0]  # noqa: E731

    def along(direction: Float[Array, " d"]) -> Float[Array, "n d"]:
        slope: Array = jax.jvp(carried, (noise,), (jnp.broadcast_to(direction, noise.shape),))[1]
        return slope

    columns = jax.vmap(along)(jnp.eye(noise.shape[1], dtype=noise.dtype))  # each row of noise moves only its own end
    sign, log_det = jnp.linalg.slogdet(jnp.moveaxis(columns, 0, -1))
    return carried(noise), log_det, sign


def log_density(law: exact.Law) -> LogDensity:
    """log p of a law at points [n, d], model space, in double precision; a compiled function."""
    compiled = jax.jit(lambda x: exact.log_prob(law, x, CLEAN))

    def log_p(x: np.ndarray) -> np.ndarray:
        with jax.enable_x64(True):
            return np.asarray(compiled(jnp.asarray(x, jnp.float64)))

    return log_p


def student_kl(ends: Ends, noise: np.ndarray, first: Level, log_p: LogDensity) -> StudentKl:
    """The StudentKl of a map that takes noise [n, d], drawn at the level `first`, to `ends`.

    log_p: the log-density of the data, model space.
    """
    scale, (n, d) = np.hypot(first.alpha, first.sigma), noise.shape
    squares = np.sum((np.asarray(noise, np.float64) / scale) ** 2, axis=1)
    truth = log_p(ends.x)
    outside = truth < _NO_DENSITY
    terms = -squares / 2 - d * np.log(scale * np.sqrt(2 * np.pi)) - ends.log_det - truth
    shares = {"folds": float(np.mean(ends.sign < 0)), "outside": float(outside.mean()), "n": n}
    if outside.any() or not np.isfinite(terms).all():
        return StudentKl(None, None, **shares)
    return StudentKl(float(terms.mean()), float(terms.std(ddof=1) / np.sqrt(n)), **shares)
