"""How good the networks are that `diffuse train` leaves: `python benchmarks/nll.py [PRESET or FILE.toml] [DATASET …]`.

For every built-in set in the plane, or those named, trains with the defaults, or with the settings of a preset, and
prints NLL (by the probability-flow ODE) and entropy in nats and data units, their gap KL(data ‖ model) with its
standard error, the excess loss, the distances by which 10,000 samples in 50 steps can be told from as many draws of
the truth, out of all that `diffuse evaluate` knows, and the seconds of training.
"""

import sys

from quality import POINTS, train

from diffuse_cli import config
from diffuse_cli.analysis import quality
from diffuse_cli.catalog import CATALOG
from diffuse_cli.cli.device import start_jax
from diffuse_cli.models.draw import default_method

DATASETS = (
    "moons", "swiss_roll", "s_curve", "circles", "eight_gaussians", "pinwheel", "two_spirals", "rings", "checkerboard",
    "grid_gaussians", "tree", "lissajous", "rose", "heart", "trefoil",
)  # fmt: skip


def main() -> None:
    """Print a line of a Markdown table for each dataset."""
    start_jax()
    named = [word for word in sys.argv[1:] if word.partition(":")[0] not in DATASETS]
    settings = config.read(named[0]) if named else {}
    print("| dataset | NLL | entropy | gap | excess loss | distances that differ | seconds |")
    print("|---|---|---|---|---|---|---|")
    for name in [word for word in sys.argv[1:] if word not in named] or DATASETS:
        model, dataset, seconds, _ = train(config.make({**settings, "dataset": name}))
        method = default_method(model.config)
        found = quality.evaluate_model(model, dataset, method, CATALOG["metric"], n=POINTS, seed=0, repeats=20)
        nll, excess = found.nll, found.excess.total
        gap = f"{nll.gap:.4f} ± {nll.stderr:.4f}" if nll.gap is not None else "unknown"
        differ = ", ".join(name for name, score in found.scores.items() if not score.indistinguishable) or "none"
        print(f"| `{name}` | {nll.value:.4f} | {nll.entropy:.4f} | {gap} | {excess:.4f} | {differ} | {seconds:.1f} |")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
