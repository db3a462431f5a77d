"""Changes of a schedule that is wrong for its data. Each change is tried, and checked like the schedule."""

import bisect
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from msgspec.inspect import FloatType, UnionType, type_info

from diffuse_cli import catalog
from diffuse_cli.analysis.schedule_check import (
    COARSE,
    EARLY,
    PROBLEMS,
    DataStudy,
    Diagnosis,
    diagnose,
    finest_needed,
)
from diffuse_cli.catalog import Choice
from diffuse_cli.config import FIELDS
from diffuse_cli.diffusion.process import Process
from diffuse_cli.errors import UsageError

_ENDING = math.log(4e-5)  # log-SNR at the end of the linear schedule of Ho et al. 2020
_TIMESTEPS = [int(digits * power) for power in (10, 100, 1000) for digits in (1, 1.5, 2, 3, 5, 7)] + [10_000]
_AIM = 0.3  # log-SNR: the margin by which a new first level is finer than needed
_BOUNDS = (1e-6, 1e6)  # of an option without bounds
_TRIED = 61  # values of an option that are tried, before bisection between two of them


class Remedy(NamedTuple):
    """A schedule and T that solve the worst problem. flags: of the command line; diagnosis: of the changed schedule."""

    schedule: str
    timesteps: int
    flags: str
    diagnosis: Diagnosis


def remedies(study: DataStudy, schedule: str, timesteps: int, diagnosis: Diagnosis) -> list[Remedy]:
    """The changes that solve the worst of `diagnosis.problems` and leave no problem that is as bad.

    First the same schedule with other options; then with more timesteps; then the default schedule, with the same
    number of timesteps, or as many as it needs. Options are solved for and then rounded to two digits.
    """
    if not diagnosis.problems:
        return []
    worst, cures = PROBLEMS.index(diagnosis.problems[0]), {}
    for choice, steps in _candidates(study, catalog.parse("schedule", schedule), timesteps, diagnosis):
        flags = [f"--schedule {choice}"] * (str(choice) != schedule) + [f"--timesteps {steps}"] * (steps != timesteps)
        after = diagnose(study, _process(choice, steps))
        if all(PROBLEMS.index(problem) > worst for problem in after.problems):
            cures[" ".join(flags)] = Remedy(str(choice), steps, " ".join(flags), after)
    return list(cures.values())


def _candidates(study: DataStudy, choice: Choice, timesteps: int, diagnosis: Diagnosis) -> Iterator[tuple[Choice, int]]:
    finest = finest_needed(study) + _AIM
    tuned = choice
    if COARSE in diagnosis.problems:
        tuned = _tuned(tuned, timesteps, 0, finest) or tuned
    if set(diagnosis.problems) != {COARSE}:
        tuned = _tuned(tuned, timesteps, 1, _ENDING) or tuned
    if tuned != choice:
        yield tuned, timesteps
    latest = _ENDING if EARLY in diagnosis.problems else math.inf
    needed = finest if COARSE in diagnosis.problems else -math.inf
    for other in (choice, catalog.parse("schedule", FIELDS["schedule"].default)):
        for goal in sorted({-math.inf, needed}):
            steps = _fewest(other, timesteps, goal, latest)
            if steps is not None and (steps > timesteps or other != choice):
                yield other, steps


def _tuned(choice: Choice, timesteps: int, end: int, log_snr: float) -> Choice | None:
    """The choice with one option changed so that its first (end 0) or last (end 1) level has this log-SNR.

    If several options allow that, the one that moves the other end least is changed. None where no option allows it.
    """
    before = _ends(choice, timesteps)
    if before is None or not math.isfinite(log_snr):
        return None
    solutions: list[tuple[float, int, Choice]] = []
    for key, option in catalog.options_of(catalog.factory(choice)).items():
        bounds = _bounds(option.annotation)
        if bounds is None:
            continue

        def level(value: float, key: str = key) -> float:
            reached = _ends(_with(choice, key, value), timesteps)
            return math.nan if reached is None else reached[end] - log_snr

        value = _solve(level, *bounds)
        if value is not None:
            tuned = _with(choice, key, float(f"{value:.2g}"))
            after = _ends(tuned, timesteps)
            if after is not None:
                solutions.append((abs(after[1 - end] - before[1 - end]), len(solutions), tuned))
    return min(solutions)[2] if solutions else None


def _fewest(choice: Choice, timesteps: int, finest: float, latest: float) -> int | None:
    """The smallest round T >= timesteps with a first log-SNR >= `finest` and a last one <= `latest`, or None."""

    def enough(steps: int) -> bool:
        reached = _ends(choice, steps)
        return reached is not None and reached[0] >= finest and reached[1] <= latest

    more = [timesteps, *(steps for steps in _TIMESTEPS if steps > timesteps)]
    if not enough(more[-1]):
        return None
    return more[bisect.bisect_left(more, True, key=enough)]


def _solve(of: Callable[[float], float], low: float, high: float) -> float | None:
    """The first zero of a function between `low` and `high`, or None. The function may be nan where it has no value.

    If only positive numbers are allowed, the values that are tried are geometrically spaced, else linearly.
    """
    positive = low > 0
    tried = np.geomspace(low, high, _TRIED) if positive else np.linspace(low, high, _TRIED)
    halve = lambda a, b: math.sqrt(a * b) if positive else (a + b) / 2  # noqa: E731
    values = np.array([of(value) for value in tried])
    for i in range(_TRIED - 1):
        if values[i] * values[i + 1] <= 0:
            a, b = tried[i], tried[i + 1]
            for _ in range(12):  # to three digits, which are then rounded
                middle = halve(a, b)
                a, b = (middle, b) if of(middle) * values[i] > 0 else (a, middle)
            return halve(a, b)
    return None


def _bounds(annotation: Any) -> tuple[float, float] | None:
    """The bounds of an option that is a number, without zero; None for any other option."""
    kind = type_info(annotation)
    for part in kind.types if isinstance(kind, UnionType) else (kind,):
        if isinstance(part, FloatType):
            low, high = part.ge or part.gt or 0.0, part.le or part.lt or _BOUNDS[1]
            return low if low < 0 else max(low, _BOUNDS[0]), high * (1 - 1e-3)
    return None


def _with(choice: Choice, key: str, value: float) -> Choice:
    return choice._replace(options={**choice.options, key: f"{value:g}"})


def _process(choice: Choice, timesteps: int) -> Process:
    return Process(catalog.build("schedule", str(choice), timesteps), timesteps)


def _ends(choice: Choice, timesteps: int) -> tuple[float, float] | None:
    """The log-SNR of the first and the last level; None where the options have no meaning together."""
    try:
        with jax.enable_x64(True):
            # not compiled as a whole: the search asks hundreds of schedules, and all share these operations
            first, last = np.asarray(_process(choice, timesteps).schedule(jnp.array([1 / timesteps, 1.0])))
    except (UsageError, ValueError, ArithmeticError):  # the last two from a schedule of the user's code
        return None
    return float(first), float(last)
