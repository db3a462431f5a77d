"""Whether a loss of flow maps is right: asked at the exact map, and at maps that are a little off, of known flows.

At the exact map u* of the data (`exact_maps`) a right loss has nothing left to ask for. Three things are checked.

**The residual.** With the exact velocity in place of a noisy one, `MapLoss.residual` is 0 at u*. Its product with the
weight of the loss is printed, since this is what pulls the network.

**The gradient at the exact map.** For u = u* + delta g the mean of the loss over noisy pairs of data and noise has no
slope in delta, for any g; up to its standard error over the draws. Batches and losses are those of training:
`training.map_batches.map_batch_losses` takes any network, and here the weights are delta.

**The pull.** At a small delta the slope leads back to u*: divided by that of the true loss || u - u* ||^2 on the same
points it is positive and no huge number. It is 1 where the loss is a plain regression on u*.

What u* is, and where, is a matter of the loss (`claims_of`): some are exact only for short steps, and `reflow` learns
another flow, whose map equals that of the data from t = 1.
"""

import math
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import msgspec
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from diffuse_cli import catalog, config
from diffuse_cli.analysis.exact_maps import ExactMap
from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.config import Config
from diffuse_cli.diffusion.conditions import Condition
from diffuse_cli.diffusion.flow_maps import AverageVelocity
from diffuse_cli.diffusion.map_losses import Lesson, MapLoss, Span, along_path
from diffuse_cli.errors import UsageError
from diffuse_cli.models import build
from diffuse_cli.models.build import Experiment
from diffuse_cli.training.batches import Batch, Points, Stage, draw_batch
from diffuse_cli.training.map_batches import Network, map_batch_losses

_STEP = 2.0**-17  # of a loss that is exact for short steps; shorter ones would lose their digits
_OFF = 0.01  # delta
_ROUNDING = 1e-12  # of a time
_POINTS = 16  # in a batch, over which the velocities of pairs are averaged: few, so that these are noisy
_KNOTS = 9  # points of a solved path
_STANDARD_ERRORS = 5.0
_WEAKEST, _STRONGEST = 0.05, 20.0  # pull

_X = Float[Array, "n d"]
_Time = Float[Array, "n 1"]


class Claim(NamedTuple):
    """What a loss is meant to teach, and when.

    name: the loss and the case. taught: with a teacher. progress: how far training has come. of: the "map" of the data;
    or the "lines" that join noise and data along it.
    """

    name: str
    loss: MapLoss
    taught: bool
    progress: float = 1.0
    of: Literal["map", "lines"] = "map"


class Finding(NamedTuple):
    """What was seen of a claim on data whose map is known.

    residual: the root mean square of the residual times its weight, at the exact map, without noise. allowed: the
    largest that passes. gradients: the slope along each g at the exact map, over the root mean square of g. pulls: what
    the slope grows by from there to u* + delta g, over the slope of the true loss.
    """

    claim: str
    data: str
    residual: float
    allowed: float
    gradients: tuple[Estimate, ...]
    pulls: tuple[Estimate, ...]

    @property
    def worst_gradient(self) -> Estimate:
        """The slope at the exact map that is farthest from 0 for its standard error."""
        return max(self.gradients, key=lambda each: abs(each.value) / (each.stderr + self.allowed))

    @property
    def weakest_pull(self) -> Estimate:
        """The least pull."""
        return min(self.pulls, key=lambda each: each.value)

    @property
    def strongest_pull(self) -> Estimate:
        """The largest pull."""
        return max(self.pulls, key=lambda each: each.value)

    @property
    def passed(self) -> bool:
        """Whether the claim holds; numbers that are not finite fail."""
        flat = all(abs(each.value) <= _STANDARD_ERRORS * each.stderr + self.allowed for each in self.gradients)
        back = all(
            _WEAKEST < each.value < _STRONGEST and each.value > _STANDARD_ERRORS * each.stderr for each in self.pulls
        )
        return self.residual < self.allowed and flat and back


def map_losses() -> list[str]:
    """The losses of the catalogue that train flow maps."""
    process = build.build_process(config.make({"timesteps": 20}))
    return [name for name in catalog.CATALOG["loss"] if isinstance(catalog.build("loss", name, process), MapLoss)]


def claims_of(text: str) -> list[Claim]:
    """What a choice of a loss claims; nothing for a loss that learns another map than that of a flow.

    consistency: in its last stage, with steps of about 2^-17 t, with noisy pairs and with a teacher. progressive: in
    the first stage for jumps that are so short, since DDIM is exact for them; in the last stage for jumps from 1 to 0,
    which are to equal two exact ones. reflow, and what else learns from the ends of paths: the map from t = 1, and
    where they are known the lines. All others: as they are, with a teacher if they need one.

    Raises UsageError for a loss that trains no flow map.
    """
    loss = _build(text)
    choice = catalog.parse("loss", text)
    if not loss.follows_flow:
        return []
    if choice.name == "consistency":
        stages = min(20, round(-math.log(_STEP) / math.log(float(choice.options.get("q", "2")))))
        fine = _build(str(choice._replace(options=choice.options | {"stages": str(stages)})))
        return [Claim(text, fine, taught=False), Claim(f"{text}, taught", fine, taught=True)]
    if choice.name == "progressive":
        first = Claim(f"{text}, first stage", _shortened(loss), taught=True, progress=0.0)
        return [first, *([Claim(f"{text}, last stage", _whole(loss), taught=True)] if loss.stages > 1 else [])]
    if loss.solved == "ends":
        return [
            Claim(f"{text}, from t = 1", _whole(loss)._replace(diagonal=0.0), taught=True),
            Claim(f"{text}, lines", loss, True, of="lines"),
        ]
    return [Claim(text, loss, taught=loss.needs_teacher or loss.solved is not None)]


def check(claim: Claim, truth: ExactMap, settings: Config, *, draws: int | None = None) -> Finding | None:
    """The Finding of a claim on data of known map; None where the claim is of lines that are not known.

    settings: the seed, and the schedule from which the levels of the diagonal are drawn. draws: by default those of the
    map.
    """
    if claim.of == "lines" and truth.lines is None:
        return None
    with jax.enable_x64(True):
        setting = _setting(claim, truth, settings, draws or truth.draws)
        at, off = (_slopes(setting, setting.experiment, by) for by in (0.0, _OFF))
        true = _slopes(setting, _truly(setting), _OFF)
        size = np.sqrt(true.mean(axis=1) / (2 * _OFF))  # of each g, the root mean square
        return Finding(
            claim.name,
            truth.name,
            _residual(setting, claim),
            truth.allowed,
            tuple(map(Estimate.of, at / size[:, None])),
            tuple(map(_ratio, off - at, true)),
        )


# g(x, t, r): along all of x, t and r; 0 on the diagonal, so that jumps alone are asked; the same everywhere; along x
_DIRECTIONS = (
    lambda x, t, r: jnp.sin(1.3 * x + 2 * t - r),
    lambda x, t, r: (t - r) * jnp.cos(x + r),
    lambda x, t, r: jnp.ones_like(x),
    lambda x, t, r: x,
)


class _Setting(NamedTuple):
    """Independent batches for a claim, stacked, the network whose weights are delta, and the exact average velocity."""

    experiment: Experiment
    batches: Batch
    network: Network
    exact: AverageVelocity
    truth: ExactMap
    stage: Stage


def _setting(claim: Claim, truth: ExactMap, settings: Config, draws: int) -> _Setting:
    rng = np.random.default_rng(settings.seed)
    points = Points(jnp.asarray(truth.draw(rng, draws // 2)))
    if claim.loss.solved is not None:
        z = jnp.asarray(rng.standard_normal(points.x0.shape))
        path = _path(truth, z, _KNOTS if claim.loss.solved == "paths" else 2)
        points = Points(path[:, -1, :-1], path=path)
    lines = truth.lines if claim.of == "lines" else None
    exact = _in_time(truth.average if lines is None else lambda x, t, r: lines(x, t))

    def network(delta: Any, condition: Condition | None) -> AverageVelocity:
        return lambda x, t, r: exact(x, t, r) + sum(by * g(x, t, r) for by, g in zip(delta, _DIRECTIONS, strict=True))

    of_map = build.build_experiment(msgspec.structs.replace(settings, loss="lsd"), points.x0.shape[1])
    experiment = of_map._replace(loss=claim.loss, levels=catalog.build("levels", claim.loss.levels))
    if claim.taught:
        experiment = experiment._replace(teacher=lambda condition: truth.velocity)
    count = len(points.x0) // _POINTS
    parts = jax.tree.map(lambda field: field[: count * _POINTS].reshape(count, _POINTS, *field.shape[1:]), points)
    keys = jax.random.split(jax.random.key(settings.seed), count)
    batches = jax.vmap(lambda part, key: draw_batch(experiment, part, key, 2 * _POINTS, in_turn=True))(parts, keys)
    before = jnp.zeros(len(_DIRECTIONS)) if claim.loss.stages > 1 else None
    return _Setting(experiment, batches, network, exact, truth, Stage(jnp.asarray(claim.progress), before))


def _in_time(u: AverageVelocity) -> AverageVelocity:
    """The average velocity, which is NaN where a loss asks for it outside of 0 <= r <= t <= 1."""

    def checked(x: _X, t: _Time, r: _Time) -> _X:
        outside = (r < -_ROUNDING) | (t > 1 + _ROUNDING) | (r > t + _ROUNDING)
        return jnp.where(outside, jnp.nan, u(x, t, r))

    return checked


def _slopes(setting: _Setting, experiment: Experiment, by: float) -> Float[np.ndarray, "g batches"]:
    """The derivative of the loss along each g at u* + by g, of each batch, whose points may depend on each other."""

    def loss(delta: Array, batch: Batch) -> Array:
        return jnp.mean(map_batch_losses(setting.network, delta, experiment, batch, setting.stage))

    def along(g: Array) -> Array:
        slope: Array = jax.vmap(lambda batch: jax.jvp(lambda delta: loss(delta, batch), (by * g,), (g,))[1])(
            setting.batches
        )
        return slope

    return np.asarray(jax.vmap(along)(jnp.eye(len(_DIRECTIONS))))  # u* is asked once for all of them


def _ratio(values: Float[np.ndarray, " n"], others: Float[np.ndarray, " n"]) -> Estimate:
    """The mean of values over that of others, which are of the same batches, so that much of their chance cancels."""
    ratio, mean = values.mean() / others.mean(), others.mean()
    return Estimate(float(ratio), Estimate.of((values - ratio * others) / mean).stderr)


def _residual(setting: _Setting, claim: Claim) -> float:
    """The residual times its weight at the exact map, without noise: the root mean square."""
    loss, exact, velocity = claim.loss, setting.exact, setting.truth.velocity
    batch = jax.tree.map(lambda field: field.reshape(-1, *field.shape[2:]), setting.batches._replace(key=None))
    keys = jax.random.split(setting.batches.key[0])
    t, r = loss.spans(keys[0], len(batch.x0), setting.stage.progress)
    if loss.solved == "paths":
        span = along_path(batch.path, t, r)
    else:
        eps = batch.eps if batch.path is None else batch.path[:, 0, :-1]
        x = (1 - t) * batch.x0 + t * eps
        span = Span(x, velocity(x, t) if batch.path is None else eps - batch.x0, t, r)
    lesson = Lesson(velocity, claim.taught, exact, keys[1], jnp.asarray(setting.stage.progress))
    residual = loss.residual(exact, span, lesson)
    weight = 1.0 if loss.weight is None else loss.weight(residual, span, lesson)[:, None]
    return float(jnp.sqrt(jnp.mean((weight * residual) ** 2)))


def _truly(setting: _Setting) -> Experiment:
    """The experiment with the true loss, || u - u* ||^2, on the same points."""

    def residual(u: AverageVelocity, span: Span, lesson: Lesson) -> _X:
        return u(span.x, span.t, span.r) - setting.exact(span.x, span.t, span.r)

    loss = setting.experiment.loss._replace(residual=residual, weight=None)
    return setting.experiment._replace(loss=loss, teacher=lambda condition: setting.truth.velocity)


def _path(truth: ExactMap, z: _X, knots: int) -> Float[Array, "n k d1"]:
    """The exact path from each noise z to data, and its falling times."""
    one, path = jnp.ones((len(z), 1)), []
    for time in np.linspace(1.0, 0.0, knots):
        x = z if time == 1.0 else truth.jump(z, one, time * one)
        path.append(jnp.concatenate([x, time * one], axis=1))
    return jnp.stack(path, axis=1)


def _build(text: str) -> MapLoss:
    settings = config.make({"loss": text})
    loss = build.build_loss(settings, build.build_process(settings))
    if not isinstance(loss, MapLoss):
        raise UsageError(
            f"the loss {text} trains a denoiser and no flow map; those of flow maps are {', '.join(map_losses())}"
        )
    return loss


def _shortened(loss: MapLoss) -> MapLoss:
    """The loss for jumps that are short."""

    def spans(key: PRNGKeyArray, n: int, progress: Float[Array, ""]) -> tuple[_Time, _Time]:
        t, r = loss.spans(key, n, progress)
        return t, jnp.maximum(r, t - _STEP)

    return loss._replace(spans=spans)


def _whole(loss: MapLoss) -> MapLoss:
    """The loss with no other jumps than those from 1 to 0."""
    return loss._replace(spans=lambda key, n, progress: (jnp.ones((n, 1)), jnp.zeros((n, 1))))
