"""How near each method for an inverse problem comes to the exact posterior of one measurement."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.analysis.digits import rounded_to, with_spread
from diffuse_cli.analysis.guidance_quality import Fate, fate_of
from diffuse_cli.analysis.quality_tables import verdict
from diffuse_cli.diffusion.grid_law import HistogramKL
from diffuse_cli.inverse.exact_posterior import ExactPosterior, exact_posterior
from diffuse_cli.inverse.measurement import Measurement
from diffuse_cli.inverse.observed import observe
from diffuse_cli.metrics.noise_floors import Floor, Score, fresh_floor
from diffuse_cli.models.draw import Drawn
from diffuse_cli.models.model import Model
from diffuse_cli.models.solving import Way, check_model, draw_posterior


class Solution(NamedTuple):
    """The samples of one method, and how far they are from the exact posterior; None where that is not known.

    scores: distances in model space, beside their floors. kl: of a histogram of what is not known for certain, nats; in
    one or two dimensions, and of samples enough for blocks. mean_gap: |mean of the samples − posterior mean|² over the
    total variance of the posterior, less what so many draws of the posterior would show. fate: of particles; None for
    all other methods.
    """

    way: Way
    drawn: Drawn
    scores: Mapping[str, Score]
    kl: HistogramKL | None
    mean_gap: float | None
    fate: Fate | None

    def floors(self, metric: str) -> float | None:
        """How many noise floors a distance is."""
        score = self.scores.get(metric)
        return None if score is None or not score.floor > 0 else score.value / score.floor

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        return {
            "method": self.way.text,
            "sampler": self.way.method.sampler,
            "grid": self.way.method.grid,
            "steps": self.way.method.steps,
            "evals": self.drawn.evals,
            "seconds": round(self.drawn.seconds, 3),
            "clipped": self.drawn.clipped,
            "mean": self.drawn.samples.mean(axis=0).tolist(),
            "std": self.drawn.samples.std(axis=0).tolist(),
            "metrics": {name: score._asdict() | {"floors": self.floors(name)} for name, score in self.scores.items()},
            "kl": self.kl and self.kl._asdict(),
            "mean_gap": self.mean_gap,
            "particles": self.fate and self.fate.document(),
        }


class Solved(NamedTuple):
    """A measurement solved for by several methods. exact: its exact posterior; None where it is not known."""

    model: Model
    measurement: Measurement
    exact: ExactPosterior | None
    floor: Floor | None
    solutions: list[Solution]


def solve(
    model: Model,
    measurement: Measurement,
    ways: Sequence[Way],
    metrics: Sequence[str],
    *,
    n: int,
    seed: int,
    repeats: int,
    begin: Callable[[Way], None] = lambda way: None,
) -> Solved:
    """Draw n samples by each method, and judge them by the exact posterior where it is known.

    The exact posterior is that of the data of the model, also where the model is a network that has learned them.
    begin: told of each method before it draws. Raises UsageError for a method that cannot use the measurement;
    DiffuseError for a measurement that the data cannot give, and where samples are not finite.
    """
    check_model(model)
    exact = exact_posterior(model.dataset(), measurement)
    observed = observe(measurement, model.standard)
    floor = None
    if exact is not None and len(exact.free):
        chosen = {name: catalog.build("metric", name) for name in metrics}
        fresh = lambda rng, n: model.standard.to_model(exact.draw(rng, n))  # noqa: E731
        floor = fresh_floor(chosen, n, fresh, seed=seed, repeats=repeats)
    solutions = []
    for way in ways:
        begin(way)
        drawn = draw_posterior(model, measurement, observed, way, n, seed)
        log_z = None if exact is None else exact.log_evidence + float(observed.log_unit)
        solutions.append(_judged(model, way, drawn, exact, floor, log_z, seed))
    return Solved(model, measurement, exact, floor, solutions)


def _judged(
    model: Model,
    way: Way,
    drawn: Drawn,
    exact: ExactPosterior | None,
    floor: Floor | None,
    log_z: float | None,
    seed: int,
) -> Solution:
    fate = fate_of(drawn, log_z)
    if exact is None or floor is None:
        return Solution(way, drawn, {}, None, None, fate)
    x = model.standard.to_model(drawn.samples)
    kl = exact.grid and exact.grid().histogram_kl(x @ exact.free.T, np.random.default_rng((seed, 3)))
    if kl is not None and kl.blocks < 2:  # of so few samples, that no part of the law would have five
        kl = None
    effective = len(x) * (1.0 if fate is None else fate.last)
    gap = float(np.sum((x.mean(axis=0) - exact.mean) ** 2)) / exact.total_variance - 1 / effective
    return Solution(way, drawn, floor.scores(x), kl, gap, fate)


def header(solved: Solved) -> tuple[str, ...]:
    """The headings of `rows`."""
    metrics = [] if solved.floor is None else list(solved.floor.metrics)
    judged = [part for name in metrics for part in (name, "floors", "from p(x | y)")]
    kl = ["KL, nats"] if any(each.kl for each in solved.solutions) else []
    gap = ["mean off by"] if metrics else []
    return ("method", "sampler", "steps", "evals", *judged, *kl, *gap, "seconds")


def rows(solved: Solved) -> list[tuple[str, ...]]:
    """A method each, under the headings of `header`."""
    table = []
    for each in solved.solutions:
        cells = [each.way.text, each.way.method.sampler, str(each.way.method.steps), f"{each.drawn.evals:,}"]
        for name, score in each.scores.items():
            ratio = each.floors(name)
            told = verdict(score).removesuffix(" from truth")
            cells += [rounded_to(score.value, score.floor_std), "-" if ratio is None else f"{ratio:.1f}", told]
        if each.kl is not None:
            cells.append(f"{each.kl.kl:.3f}")
        if each.mean_gap is not None:
            cells.append(f"{max(each.mean_gap, 0.0):.1%}")
        table.append((*cells, f"{each.drawn.seconds:.1f}"))
    return table


def facts(solved: Solved) -> list[tuple[str, str]]:
    """Names and values of what is known of the measurement and its exact posterior."""
    measurement, exact = solved.measurement, solved.exact
    found = [("measured", measurement.title)]
    noise = sorted({float(std) for std in measurement.std})
    found.append(
        (
            "noise",
            "none" if noise == [0.0] else " to ".join(f"{std:.4g}" for std in (noise[0], noise[-1])[: len(noise)]),
        )
    )
    if exact is not None:
        rare = "" if exact.as_rare is None else f"; as low for {exact.as_rare:.1%} of measurements of the data"
        found.append(("log p(y)", f"{exact.log_evidence:.4g} nats{rare}"))
    if solved.floor is not None:
        for name, values in solved.floor.figures.items():
            found.append((f"noise floor of {name}", with_spread(float(values.mean()), float(values.std(ddof=1)))))
        kl = next((each.kl for each in solved.solutions if each.kl is not None), None)
        if kl is not None:
            found.append(("KL of draws of the posterior", f"{with_spread(kl.floor, kl.floor_std)} nats"))
    return found
