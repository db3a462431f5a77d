"""What guidance does: its samples against the law that it is said to sample, and against the points with the label."""

from typing import Any, NamedTuple

import numpy as np

from diffuse_cli import catalog
from diffuse_cli.analysis.digits import with_spread
from diffuse_cli.analysis.quality import floor_of
from diffuse_cli.analysis.schedule_check import Estimate
from diffuse_cli.datasets.dataset import Dataset, Part, with_label
from diffuse_cli.datasets.given import with_given
from diffuse_cli.diffusion.grid_law import HistogramKL
from diffuse_cli.metrics.noise_floors import Score
from diffuse_cli.models.draw import Drawn
from diffuse_cli.models.model import Model

_FROM_LABEL = ("sliced_w2", "energy")  # by which samples are compared with the points with the label


class Fate(NamedTuple):
    """How populations of particles have fared, on average over the populations.

    populations, size: their number, and the number of particles in each, the mean. least, last: the effective share of
    the particles, the least on the way and at the end. ancestors: the share of the first particles that have
    descendants among the samples. z_ratio: the estimate of Z over Z, which should be 1; None where Z is unknown.
    """

    populations: int
    size: float
    least: float
    last: float
    ancestors: float
    z_ratio: Estimate | None

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for a table."""
        size = f"{self.populations} × {self.size:,.0f}"
        rows = [
            ("particles", f"{size}; effective {self.last:.0%}, at least {self.least:.0%} on the way"),
            ("ancestors among the first", f"{self.ancestors:.1%} of them"),
        ]
        if self.z_ratio is not None:
            rows.append(("estimate of Z over Z", f"{_estimate(self.z_ratio)}; 1 is right"))
        return rows

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        return self._asdict() | {"z_ratio": self.z_ratio and self.z_ratio._asdict()}


class GuidanceQuality(NamedTuple):
    """The samples of a guided model.

    kl: of their histogram from the law π_w; None where that has no grid. from_label: distances from the points with the
    label, with floors. fate: of particles; None for all other samplers.
    """

    kl: HistogramKL | None
    from_label: dict[str, Score]
    fate: Fate | None

    def rows(self) -> list[tuple[str, str]]:
        """Names and values for a table."""
        rows = []
        if self.kl is not None:
            floor = with_spread(self.kl.floor, self.kl.floor_std)
            rows.append(("KL(samples ‖ π_w), of a histogram", f"{self.kl.kl:.4f} nats; of draws of π_w {floor}"))
        return rows if self.fate is None else rows + self.fate.rows()

    def document(self) -> dict[str, Any]:
        """The same for a JSON file."""
        from_label = {name: score._asdict() for name, score in self.from_label.items()}
        return {
            "kl": self.kl and self.kl._asdict(),
            "from_label": from_label,
            "particles": self.fate and self.fate.document(),
        }


def guidance_quality(
    model: Model, dataset: Dataset, drawn: Drawn, *, n: int, seed: int, repeats: int
) -> GuidanceQuality:
    """The GuidanceQuality of n samples `drawn` from a guided model that has been told a label; dataset: its data."""
    samples = model.standard.to_model(drawn.samples)
    grid = None if dataset.grid is None else dataset.grid()
    kl = None if grid is None else grid.histogram_kl(samples, np.random.default_rng((seed, 3)))
    from_label: dict[str, Score] = {}
    if grid is not None and dataset.part is not None:  # otherwise they are the model's data themselves
        metrics = {name: catalog.build("metric", name) for name in _FROM_LABEL}
        part = dataset.part
        whole = with_label(part.of, part.label) if isinstance(part, Part) else with_given(part.of, part.row, part.told)
        from_label = floor_of(model, whole, metrics, n, seed, repeats).scores(samples)
    return GuidanceQuality(kl, from_label, fate_of(drawn, dataset.log_z and dataset.log_z()))


def fate_of(drawn: Drawn, log_z: float | None) -> Fate | None:
    """How the particles of a sampler with weights have fared; None for other samplers. log_z: of the exact law."""
    found = drawn.populations
    if found is None:
        return None
    ratio = None
    if log_z is not None:
        each = np.exp(found.log_z.astype(np.float64) - log_z)
        spread = float(each.std(ddof=1) / np.sqrt(len(each))) if len(each) > 1 else float("nan")
        ratio = Estimate(float(each.mean()), spread)
    ancestors = float((found.ancestors / found.size).mean())
    means = (float(part.mean()) for part in (found.size, found.least, found.last))
    return Fate(len(found.size), *means, ancestors, ratio)


def _estimate(estimate: Estimate) -> str:
    return f"{estimate.value:.3f}" if np.isnan(estimate.stderr) else with_spread(*estimate)
