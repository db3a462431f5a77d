"""Claim: a sentence of an article, how it is measured, and the rule by which the figures are judged."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from diffuse_cli.analysis.digits import with_spread

ROOT = Path(__file__).parents[2]
HOLDS, PARTLY, FAILS, UNKNOWN = "holds", "holds in part", "does not hold here", "not measured yet"
Verdict = Literal["holds", "holds in part", "does not hold here", "not measured yet"]
ARTICLES = {
    "Introduction": "Introduction to diffusion models (1)",
    "DDPM": "From DDPM on",
    "Theory": "Theory of diffusion models",
    "Background": "Background",
    "Made easy": "Diffusion models made easy",
}


class Figure(NamedTuple):
    """A measured number; error: its standard error, or None for one that has no sampling error or was measured once."""

    value: float
    error: float | None = None

    def __str__(self) -> str:
        if not math.isfinite(self.value):
            return "∞"
        if self.error is None:
            return f"{self.value:.3g}" if self.value % 1 else f"{self.value:,.0f}"
        if self.error < 1e-5:  # more digits than with_spread shows
            return f"{self.value:.3g} ± {self.error:.1g}"
        return with_spread(self.value, self.error)

    def times(self, factor: float) -> "Figure":
        """The figure in another unit."""
        return Figure(self.value * factor, None if self.error is None else self.error * factor)


Figures = dict[str, Figure]  # "row / column" -> Figure


class Size(NamedTuple):
    """How much is measured.

    seeds: of the claims about seeds. few: of comparisons of settings. steps: of training, None for the default number.
    short: of the trainings of comparisons. points: at which a likelihood is solved. samples: of distances. chain: the T
    of long chains. particles: of weighted samples. sets: at most so many of the built-in sets.
    """

    seeds: int = 20
    few: int = 3
    steps: int | None = 8000
    short: int = 4000
    points: int = 2000
    samples: int = 10_000
    chain: int = 1000
    particles: int = 1000
    sets: int | None = None


FULL = Size()
QUICK = Size(
    seeds=2, few=2, steps=60, short=60, points=40, samples=300, chain=20, particles=50, sets=2
)  # whether all runs


class Claim(NamedTuple):
    """A claim.

    name: for the command line. words: the claim in English. articles: keys of ARTICLES. rule: the verdict in words.
    measure: Size -> Figures; None for a claim that cannot be measured yet. judge: Figures -> the verdict; it takes no
    part in measuring. short: Figures -> the figure of the summary. command: what shows the same to a user. because:
    verdict -> why, printed only beside that verdict.
    """

    name: str
    words: str
    articles: tuple[str, ...]
    rule: str
    measure: Callable[[Size], Figures] | None
    judge: Callable[[Figures], str]
    short: Callable[[Figures], str]
    command: str
    because: Mapping[str, str] = {}


def over(values: Iterable[float]) -> Figure:
    """The mean of values of independent runs, and its standard error; infinite if a value is, or if there is none.

    >>> over([1.0, 3.0])
    Figure(value=2.0, error=1.0)
    """
    values = list(values)
    mean = sum(values) / len(values) if values else math.inf
    if len(values) < 2 or not math.isfinite(mean):
        return Figure(mean)
    variance = sum((each - mean) ** 2 for each in values) / (len(values) - 1)
    return Figure(mean, math.sqrt(variance / len(values)))


def lower(one: Figure, other: Figure) -> bool:
    """Whether one figure is below another by more than two standard errors of their difference.

    >>> lower(Figure(1.0, 0.1), Figure(1.5, 0.1)), lower(Figure(1.0, 0.3), Figure(1.5, 0.1))
    (True, False)
    """
    return one.value + 2 * math.hypot(one.error or 0.0, other.error or 0.0) < other.value


def column(figures: Figures, name: str) -> Figures:
    """The figures of one column, by row.

    >>> column({"moons / KL": Figure(1.0), "moons / W2": Figure(2.0)}, "KL")
    {'moons': Figure(value=1.0, error=None)}
    """
    return {key.rpartition(" / ")[0]: figure for key, figure in figures.items() if key.rpartition(" / ")[2] == name}


def row(figures: Figures, name: str) -> Figures:
    """The figures of one row, by column."""
    return {key.rpartition(" / ")[2]: figure for key, figure in figures.items() if key.rpartition(" / ")[0] == name}


def graded(holds: bool, partly: bool = False) -> str:
    """The verdict from what the two rules say.

    >>> graded(True), graded(False, True), graded(False)
    ('holds', 'holds in part', 'does not hold here')
    """
    return HOLDS if holds else PARTLY if partly else FAILS


def largest(figures: Figures) -> str:
    """The row of the largest figure, and the figure, for a sentence."""
    name = max(figures, key=lambda each: figures[each].value)
    return f"{figures[name]} ({name})"


def diffuse(outputs: Path, *words: str) -> dict[str, Any]:
    """What `diffuse … --json` prints. Raises CalledProcessError where it fails."""
    environment = os.environ | {"DIFFUSE_OUTPUTS": str(outputs)}
    command = [sys.executable, "-m", "diffuse_cli", *words, "--json", "--quiet"]
    done = subprocess.run(command, check=True, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    return json.loads(done.stdout)
