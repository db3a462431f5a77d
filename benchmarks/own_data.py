"""What `train` makes of a user's file: the default beside other settings, for files that are drawn from known laws.

`python benchmarks/own_data.py [LAW …] [--rows N …] [--seeds N …] [--grid]` writes each file, trains on it as
`diffuse train` does, and prints

- gap: KL(law ‖ model) in nats, the NLL by the probability-flow ODE of the best averaged weights on held-out loss, over
  fresh points of the law, so that it does not depend on the few rows that were held out; ± its standard error;
- last: the same of the last averaged weights;
- step: of the best weights; seconds: of the training loop, with compiling.

Without --grid only the default is trained; with it also GRID, and the last column is the gap above the best one.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np

from diffuse_cli import catalog, config
from diffuse_cli.analysis import quality
from diffuse_cli.diffusion import exact
from diffuse_cli.diffusion.process import CLEAN
from diffuse_cli.models import build, run_folder
from diffuse_cli.models.model import Model, model_of_run
from diffuse_cli.training.trainer import Trainer

POINTS = {2: 3000, 5: 1000}  # fresh points by columns: the exact divergence of five columns is costly
GRID = (
    {},
    {"steps": 2000},
    {"steps": 24000},
    {"weight_decay": 0.01},
    {"weight_decay": 0.3},
    {"weight_decay": 3.0},
    {"width": 16},
    {"width": 128},
    {"depth": 2},
    {"lr": 0.001},
    {"lr": 0.02},
    {"ema": 0.99},
    {"weight_decay": 0.01, "width": 16},
    {"weight_decay": 0.1, "width": 32},
    {"weight_decay": 0.3, "width": 128},
    {"weight_decay": 0.3, "lr": 0.002},
)


class KnownLaw(NamedTuple):
    """draw: (rng, n) -> [n, d]; log_p: [n, d] -> [n], nats."""

    draw: Callable[[np.random.Generator, int], np.ndarray]
    log_p: Callable[[np.ndarray], np.ndarray]


def of_dataset(choice: str) -> KnownLaw:
    """The law of a built-in dataset, in data units."""
    dataset = catalog.build("dataset", choice)
    law, standard = dataset.exact(), dataset.standard

    def log_p(x: np.ndarray) -> np.ndarray:
        in_model = exact.log_prob(law, standard.to_model(x).astype(np.float32), CLEAN)
        return np.asarray(in_model, np.float64) - np.log(standard.scale).sum()

    return KnownLaw(dataset.draw, log_p)


def of_gaussians(means: np.ndarray, covariances: np.ndarray) -> KnownLaw:
    """A mixture of Gaussians in equal shares."""
    from scipy.stats import multivariate_normal

    each = [multivariate_normal(mean, covariance) for mean, covariance in zip(means, covariances, strict=True)]
    roots = np.linalg.cholesky(covariances)

    def draw(rng: np.random.Generator, n: int) -> np.ndarray:
        which = rng.integers(len(means), size=n)
        return means[which] + np.einsum("nij,nj->ni", roots[which], rng.standard_normal((n, len(means[0]))))

    def log_p(x: np.ndarray) -> np.ndarray:
        return np.logaddexp.reduce([law.logpdf(x) for law in each]) - np.log(len(each))

    return KnownLaw(draw, log_p)


def _correlated() -> np.ndarray:
    root = np.random.default_rng(7).standard_normal((5, 5))
    return root @ root.T / 5 + 0.1 * np.eye(5)


LAWS: dict[str, Callable[[], KnownLaw]] = {
    "moons": lambda: of_dataset("moons:noise=0.15"),
    "circles": lambda: of_dataset("circles:noise=0.1"),
    "bimodal": lambda: of_gaussians(
        np.array([[160.0, 60.0], [178.0, 80.0]]),
        np.array([[[36.0, 20.0], [20.0, 64.0]], [[49.0, 35.0], [35.0, 100.0]]]),
    ),
    "gaussian5": lambda: of_gaussians(np.zeros((1, 5)), _correlated()[None]),
    "bimodal5": lambda: of_gaussians(
        np.array([[0.0] * 5, [2.5, -1.5, 0.0, 0.0, 1.0]]),
        np.stack([_correlated(), np.diag([0.3, 0.5, 1.0, 0.2, 0.6])]),
    ),
}


class Judged(NamedTuple):
    """The gap of the best weights with its standard error, that of the last ones, the step of the best, and seconds."""

    gap: float
    stderr: float
    last: float
    step: int
    seconds: float


def judge(law: KnownLaw, file: Path, folder: Path, changes: dict[str, float]) -> Judged:
    """Train on a file with these settings, and judge the model by fresh points of the law."""
    settings = config.make({"dataset": f"file:{file}", **changes})
    dataset = build.build_dataset(settings)
    settings = build.fill_in_settings(settings, dataset)
    began = time.perf_counter()
    folder.mkdir()
    for _ in Trainer(folder, build.build_experiment(settings, dataset.dim), dataset).run():
        pass
    seconds = time.perf_counter() - began
    best, last = (run_folder.open_run(folder / name) for name in (run_folder.BEST, run_folder.NEWEST))
    gap, stderr = _gap(law, model_of_run(best))
    return Judged(gap, stderr, gap if best.step == last.step else _gap(law, model_of_run(last))[0], best.step, seconds)


def _gap(law: KnownLaw, model: Model) -> tuple[float, float]:
    x = law.draw(np.random.default_rng(999), POINTS[model.dim])
    solver = quality.DEFAULT_SOLVER._replace(probes=0)
    solved = quality.negative_log_likelihood(model, None, model.standard.to_model(x), solver)
    apart = law.log_p(x) - solved.log_p
    return float(apart.mean()), float(apart.std(ddof=1) / np.sqrt(len(x)))


def main() -> None:
    """Train and judge what is asked for, and print a line each."""
    from diffuse_cli.cli.device import start_jax

    start_jax()
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("laws", nargs="*", metavar="LAW", help=", ".join(LAWS))
    parser.add_argument("--rows", type=int, nargs="+", default=[800])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--grid", action="store_true")
    asked = parser.parse_args()
    for name in asked.laws or LAWS:
        law = LAWS[name]()
        for rows in asked.rows:
            for seed in asked.seeds:
                print(f"\n{name}, {rows} rows, seed {seed}\n    gap  stderr    last    step seconds  above best")
                with tempfile.TemporaryDirectory() as place:
                    file = Path(place, "points.csv")
                    columns = law.draw(np.random.default_rng(1000 + seed), rows)
                    np.savetxt(file, columns, delimiter=",")
                    variants = GRID if asked.grid else GRID[:1]
                    judged = [judge(law, file, Path(place, str(i)), each) for i, each in enumerate(variants)]
                best = min(each.gap for each in judged)
                for each, changes in zip(judged, variants, strict=True):
                    words = ", ".join(f"{key}={value}" for key, value in changes.items()) or "the default"
                    print(
                        f"{each.gap:7.4f} {each.stderr:7.4f} {each.last:7.4f} {each.step:7,d} {each.seconds:7.1f} "
                        f"{each.gap - best:11.4f}  {words}",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
