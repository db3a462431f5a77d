"""Drawing samples from a model, by a method that is given as text."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import msgspec
import numpy as np
from jax import Array

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.flow_maps import Jump
from diffuse_cli.diffusion.map_losses import Jumps
from diffuse_cli.diffusion.process import Level, Scaling
from diffuse_cli.errors import DiffuseError, UsageError
from diffuse_cli.guidance.base import check_sampler
from diffuse_cli.inverse.base import Measured
from diffuse_cli.models.defaults import DENOISER
from diffuse_cli.models.direct import Direct, has_no_denoiser
from diffuse_cli.models.model import Model
from diffuse_cli.samplers import loop as sampling
from diffuse_cli.samplers.base import Adaptive, Sampler
from diffuse_cli.samplers.grids import levels_of
from diffuse_cli.samplers.particles import Diagnosis, diagnose

_MANY_CLIPPED = 0.02  # of the samples


_NONE: Any = np.zeros(0)
NO_LEVELS = Level(_NONE, _NONE, _NONE)  # of samples that were drawn without any


class Method(NamedTuple):
    """How to sample: the choices of sampler and grid as text, and the number of steps. A family that draws without
    noise levels is named in place of the sampler, with no grid and 1 step.

    >>> Method("ddim:eta=0.5", "uniform", 50).title
    'ddim:eta=0.5, 50 steps'
    """

    sampler: str
    grid: str
    steps: int

    @property
    def title(self) -> str:
        """The method for a title: ddim, 50 steps."""
        steps = f", {self.steps} step{'s' * (self.steps > 1)}" if self.grid else ""
        return f"{self.sampler}{steps}"

    @property
    def label(self) -> str:
        """The method for a file name: ddim-50-uniform."""
        parts = [self.sampler, str(self.steps), self.grid] if self.grid else [self.sampler]
        return "-".join(parts).translate(str.maketrans(":=,/", "____"))


def default_method(config: Config) -> Method:
    """The method in the settings of a run; without a grid there, the grid that suits the sampler.

    Raises UsageError for a sampler that is unknown or wrong, and for one of a family that has no noise levels.
    """
    if not config.diffuses:
        if chosen := [name for name in ("sampler", "sampler_steps", "grid") if getattr(config, name) is not None]:
            flags = {"sampler_steps": "steps"}
            listed = " and ".join(f"--{flags.get(name, name)}" for name in chosen)
            raise UsageError(f"a model of the family {config.family} draws without noise levels; leave out {listed}")
        return Method(config.family, "", 1)
    sampler, steps = config.sampler or DENOISER.sampler, config.sampler_steps or DENOISER.sampler_steps
    return Method(sampler, config.grid or catalog.build("sampler", sampler).grid, steps)


def without_jumps(config: Config) -> Config:
    """The settings with a sampler of denoisers in place of one of flow maps, for a model made of denoisers."""
    if not catalog.build("sampler", default_method(config).sampler).needs_jump:
        return config
    return msgspec.structs.replace(config, sampler=DENOISER.sampler, sampler_steps=DENOISER.sampler_steps, grid=None)


class Drawn(NamedTuple):
    """Samples, and how they were drawn.

    samples: [n, d] in data units. levels: fields [steps + 1], noisiest first; `NO_LEVELS` where there are none. path:
    in model units; None where it was not asked for. evals: the network evaluations for each sample, the mean. seconds:
    the whole time it took. clipped:
    the number of samples that lie on a wall of the box to which x0 is clipped (`Model.walls`). labels: [n], the names
    of the labels that they were told; None where they were told none. given: values of given columns that they were
    told, by name. populations: how those of a sampler of particles have fared; None for all other samplers.
    """

    samples: np.ndarray
    levels: Level
    path: sampling.Path | None
    evals: int
    seconds: float
    clipped: int = 0
    labels: np.ndarray | None = None
    given: Mapping[str, float] | None = None
    populations: Diagnosis | None = None

    @property
    def many_clipped(self) -> bool:
        """Whether so many samples were clipped that the model cannot be trusted."""
        return self.clipped > _MANY_CLIPPED * len(self.samples)

    def populations_note(self) -> str | None:
        """How the populations of a sampler of particles have fared; None for all other samplers."""
        if (found := self.populations) is None:
            return None
        shares = [float(part.mean()) for part in (found.last, found.least, found.ancestors / found.size)]
        ends, least, ancestors = (f"{share:.0%}" for share in shares)
        return (
            f"{len(found.size)} population{'s' * (len(found.size) > 1)} of {found.size.max():,} particles: {ends} of "
            f"them effective at the end, {least} at least on the way, from {ancestors} of the first particles"
        )

    def clipped_note(self) -> str | None:
        """What to say where the clip acted: a few samples of a good model, or many of one that knows no better."""
        if not self.clipped:
            return None
        told = f"{self.clipped:,} of {len(self.samples):,} samples lie on the edge of the box of the training points"
        if not self.many_clipped:
            return f"{told}: their x0 was clipped there"
        return f"{told}: without this clip they would lie farther away; the network is not trained enough, or diverged"


def draw_samples(model: Model, method: Method, count: int, seed: int, *, trajectory: bool = False) -> Drawn:
    """Draw `count` samples from a model. With the same seed all methods start from the same noise.

    Raises UsageError for a method that is unknown or does not go with the model, DiffuseError if any sample is not
    finite.
    """
    if model.direct is not None:
        if trajectory and model.plane is not None:
            raise UsageError(
                f"the way of {model.name} is in its latent space, and these samples are decoded; leave out the "
                f"trajectory, and draw the way with: diffuse plot-reverse --run {model.folder.name}"
            )
        if trajectory:
            raise has_no_denoiser(model.direct.title, model.name)
        return _draw_directly(model, model.direct, method, count, seed)
    sampler, levels = build_method(model, method)
    predict: Predict | Jump
    if sampler.needs_jump:
        predict = model.jump_for_sampling(count)
    else:
        predict = model.for_sampling(count, variance=sampler.needs_variance)
    return draw_with(predict, sampler, levels, model, method, count, seed, trajectory=trajectory)


def _draw_directly(model: Model, direct: Direct, method: Method, count: int, seed: int) -> Drawn:
    """Draw from a model that has no denoiser, and so no trajectory. Raises DiffuseError if any sample is not finite."""
    began = time.perf_counter()
    points, evals = direct.draw(count, seed, method)
    if bad := int((~np.isfinite(points)).any(axis=1).sum()):
        raise DiffuseError(f"{bad} of {count} samples of {model.name} are not finite numbers")
    samples = model.standard.to_data(points.astype(np.float64))
    return Drawn(samples, NO_LEVELS, None, evals, time.perf_counter() - began, labels=model.labels_of_rows(count))


def draw_with(
    predict: Predict | Jump | Measured,
    sampler: Sampler | Adaptive,
    levels: Level,
    model: Model,
    method: Method,
    count: int,
    seed: int,
    *,
    trajectory: bool = False,
) -> Drawn:
    """Draw from the model by this sampler at these levels, with `predict` in place of the model's own denoiser.

    method: what the sampler is called in messages. Raises DiffuseError if any sample is not finite.
    """
    began = time.perf_counter()
    shape, scaling = (count, model.dim), model.process.scaling
    outcome = jax.device_get(
        _sample(predict, sampler, levels, np.uint32(seed), shape, scaling=scaling, trajectory=trajectory)
    )
    if outcome.broken >= 0:
        bad = int((~np.isfinite(outcome.x)).any(axis=1).sum())
        raise DiffuseError(
            f"{bad} of {count} samples by {method.sampler} are not finite numbers: the first was lost in step "
            f"{outcome.broken + 1} of {method.steps}, from log-SNR {levels.log_snr[outcome.broken]:.3g}"
        )
    samples = model.standard.to_data(outcome.x.astype(np.float64))
    seconds, clipped = time.perf_counter() - began, model.on_walls(outcome.x)
    evals, labels = round(float(outcome.evals)), model.labels_of_rows(count)
    populations = diagnose(outcome.weights) if sampler.weighted else None
    return Drawn(
        samples, levels, outcome.path, evals, seconds, clipped, labels, given=model.told_values, populations=populations
    )


@partial(jax.jit, static_argnames=("sampler", "shape", "scaling", "trajectory"))
def _sample(
    predict: Predict | Jump | Measured,
    sampler: Sampler | Adaptive,
    levels: Level,
    seed: Array,
    shape: tuple[int, int],
    *,
    scaling: Scaling,
    trajectory: bool,
) -> sampling.Outcome:
    """All of the sampling as one program."""
    return sampling.sample(
        predict, sampler, levels, jax.random.key(seed), shape, scaling=scaling, trajectory=trajectory
    )


def most_steps(jumps: Jumps, sampler: Sampler | Adaptive) -> int | None:
    """In how many steps at most a sampler makes only those jumps that a flow map has learned; None where in any number.

    >>> from diffuse_cli.samplers.jumps import jump, renoise
    >>> most_steps("to_clean", jump()), most_steps("to_clean", renoise()), most_steps("whole", renoise())
    (1, None, 1)
    """
    single = jumps == "whole" or (jumps == "to_clean" and sampler.deterministic)
    return 1 if sampler.needs_jump and single else None


def _check_jumps(model: Model, method: Method, sampler: Sampler | Adaptive) -> None:
    """Raises UsageError for a sampler that makes jumps which the model has not learned."""
    most = most_steps(model.jumps, sampler)
    if most is not None and method.steps > most:
        learned = "a single jump, from noise to data" if model.jumps == "whole" else "jumps to clean data only"
        way = "--steps 1" if model.jumps == "whole" else "--sampler renoise, or --steps 1"
        raise UsageError(
            f"{model.name} has learned {learned}, and {method.sampler} in {method.steps} steps makes others; give {way}"
        )


def build_method(model: Model, method: Method) -> tuple[Sampler | Adaptive, Level]:
    """The sampler of a method, and its levels, fields [steps + 1].

    Raises UsageError for an unknown name, for a model without a denoiser, and for a sampler that does not go with the
    model, the grid or the number of steps; the message names the nearest choice that does.
    """
    if model.direct is not None:
        raise has_no_denoiser(model.direct.title, model.name)
    sampler = catalog.build("sampler", method.sampler)
    levels = levels_of(catalog.build("grid", method.grid), model.process, method.steps)
    if sampler.needs_variance and model.predict_with_variance is None:
        raise UsageError(
            f"{method.sampler} needs to know how uncertain x0 is, and {model.name} has not learned it (it takes "
            "--variance learned --loss hybrid); give --sampler ddpm:variance=small"
        )
    if sampler.needs_jump and model.jump is None:
        raise UsageError(
            f"{method.sampler} needs a flow map, and {model.name} has learned none; make a student that has one with: "
            f"diffuse distill --run {model.folder.name}, or give --sampler dpmpp_2m"
        )
    _check_jumps(model, method, sampler)
    if model.each_row and (isinstance(sampler, Adaptive) or (sampler.needs_jump and not model.trained)):
        raise UsageError(
            f"{method.sampler} solves the flow for each sample by itself, which cannot have labels of their own; give "
            "one --label, or --sampler dpmpp_2m"
        )
    if model.kind != "denoiser" and not sampler.deterministic and not sampler.needs_jump:
        raise UsageError(
            f"{model.name} has learned the velocity of a flow between pairs, and {method.sampler} needs a denoiser; "
            "give it a deterministic sampler, like --sampler dpmpp_2m"
        )
    if model.guiding is not None:
        check_sampler(model.guiding.guidance, method.sampler, sampler)
    if method.steps <= sampler.lookback:
        raise UsageError(
            f"{method.sampler} looks back over {sampler.lookback} of its steps, so {method.steps} are too few for it; "
            f"give --steps {sampler.lookback + 1} or more, or --sampler ddim"
        )
    if not sampler.allows_equal_levels and not (np.diff(levels.log_snr) > 0).all():
        raise UsageError(
            f"{method.sampler} goes from level to level, and the grid {method.grid} stays at one; give it "
            f"--grid {sampler.grid}, or --sampler langevin:step_size=0.1"
        )
    return sampler, levels
