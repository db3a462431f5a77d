"""Teachers: a model whose flow a student learns, as a velocity for every condition, and as paths solved beforehand."""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from diffuse_cli import catalog
from diffuse_cli.config import Config
from diffuse_cli.datasets.dataset import Dataset
from diffuse_cli.diffusion.conditions import Condition, Given, chosen_from
from diffuse_cli.diffusion.denoisers import Predict
from diffuse_cli.diffusion.flow_maps import Velocity, flow_time, velocity_of
from diffuse_cli.diffusion.process import Level
from diffuse_cli.errors import UsageError
from diffuse_cli.models.model import Model
from diffuse_cli.samplers.grids import levels_of
from diffuse_cli.samplers.loop import initial_noise, run_steps

# What a student has from its teacher, beside the constants of the data: the data, the noise and what may be told.
KEPT = (
    "dataset",
    "train_size",
    "schedule",
    "timesteps",
    "scaling",
    "zero_terminal_snr",
    "conditional",
    "label_dropout",
)
PATHS = 1 << 14  # that are solved for a student
_SOLVER, _GRID, _STEPS = "dpmpp_3m", "log_snr", 64  # by which they are solved
_TOGETHER = 1 << 13  # paths that are solved at once


def check_teacher(teacher: Model, config: Config, dataset: Dataset) -> None:
    """Raises UsageError for a model that cannot teach a student with these settings, on this dataset: for one that has
    learned in another space or with another schedule, and for one that is no denoiser."""
    _check_space(teacher, config, dataset)
    if teacher.kind != "denoiser":
        raise UsageError(
            f"{teacher.name} has learned the velocity of a flow between pairs, and a student's teacher is a denoiser"
        )
    if teacher.guiding is not None and (teacher.guiding.guidance.weighted or teacher.guiding.guidance.samplers):
        raise UsageError(
            f"{teacher.guiding.text} is more than a denoiser, which is all that a student can learn; give --guidance "
            "cfg:w=2, interval, apg, auto or classifier"
        )
    if teacher.conditions is not None and teacher.conditions.kind != "label" and not teacher.trained:
        raise UsageError("an exact teacher can be told labels only; train a run, and give it by --run")


def _check_space(teacher: Model, config: Config, dataset: Dataset) -> None:
    if not teacher.standard.agrees_with(dataset.standard):
        raise UsageError(
            f"{teacher.name} has learned {teacher.config.dataset} in another space than that of {config.dataset}; a "
            "student has the space of its teacher: train the teacher anew, or distil from another"
        )
    for key in KEPT:
        one, other = getattr(teacher.config, key), getattr(config, key)
        if one != other and key != "conditional":
            raise UsageError(
                f"{teacher.name} has the {key} {one}, and its student {other}; a student keeps what its teacher has"
            )


def velocity_for(teacher: Model) -> Callable[[Condition | None], Velocity]:
    """The conditions of n points, or None -> the teacher's velocity on the straight path for these points.

    Between the clean level and t = 1/T, where no network is trained, and beyond the noisiest level of the process it is
    the velocity there.
    """
    ends = [float(flow_time(teacher.process.levels_at(t))) for t in (1 / teacher.process.timesteps, 1.0)]
    given = _given(teacher)
    return lambda condition: velocity_of(given(condition), *ends)


def _given(teacher: Model) -> Callable[[Condition | None], Predict]:
    """The denoiser that is told these conditions, which may be data of compiled code."""
    if teacher.conditions is None or teacher.given is None:
        return lambda condition: teacher.predict
    told: Given = teacher.given
    if not teacher.trained:
        labels = map(np.array, range(len(teacher.conditions.names)))
        told = chosen_from([*map(told, labels), teacher.predict])
    return lambda condition: teacher.predict if condition is None else told(condition)


def solved_paths(
    teacher: Model, conditions: np.ndarray | None, count: int, seed: int
) -> Float[np.ndarray, "count k d1"]:
    """The paths of `count` draws of noise under the teacher's flow, each told its row of `conditions`, if there is one.

    [count, k, d + 1]: points on the straight path, from noise to clean, and their times. They are solved by
    DPM-Solver++(3M) in 64 steps.
    """
    sampler = catalog.build("sampler", _SOLVER)
    levels = levels_of(catalog.build("grid", _GRID), teacher.process, _STEPS)
    times = np.asarray(flow_time(levels), np.float32)
    scale = np.asarray(levels.alpha + levels.sigma, np.float32)
    noise = np.asarray(initial_noise(jax.random.key(seed), (count, teacher.dim), levels))
    given, key = _given(teacher), jax.random.key(0)  # of no use to a flow
    solve = partial(_solve, sampler=sampler, scaling=teacher.process.scaling)
    parts = []
    for rows in np.array_split(np.arange(count), -(-count // _TOGETHER)):
        predict = given(None if conditions is None else conditions[rows])
        path = np.asarray(solve(predict, levels, jnp.asarray(noise[rows]), key)) / scale[:, None, None]
        parts.append(np.concatenate([path, np.broadcast_to(times[:, None, None], (*path.shape[:2], 1))], axis=-1))
    return np.concatenate(parts, axis=1).transpose(1, 0, 2)


def _solve(predict: Predict, levels: Level, noise: Array, key: Array, *, sampler: object, scaling: object) -> Array:
    outcome = run_steps(predict, sampler, levels, noise, key, scaling=scaling, trajectory=True)
    path: Array = outcome.path.x
    return path
