"""How good the networks are that `diffuse train` leaves: `python benchmarks/nll.py [PRESET or FILE.toml] [DATASET …]`.

For every built-in set in the plane, or those named, trains with the defaults, or with the settings of a preset, and
prints NLL and entropy in nats and data units, their gap KL(data ‖ model) with its standard error, the excess loss and
the seconds of training. NLL is by the probability-flow ODE over 10,000 fresh points.
"""

import sys

from quality import measure

from diffuse_cli import config
from diffuse_cli.cli.device import start

DATASETS = (
    "moons", "swiss_roll", "s_curve", "circles", "eight_gaussians", "pinwheel", "two_spirals", "rings", "checkerboard",
    "grid_gaussians", "tree", "lissajous", "rose", "heart", "trefoil",
)  # fmt: skip


def main() -> None:
    """Print a line of a Markdown table for each dataset."""
    start()
    named = [word for word in sys.argv[1:] if word.partition(":")[0] not in DATASETS]
    settings = config.read(named[0]) if named else {}
    print("| dataset | NLL | entropy | gap | excess loss | seconds |\n|---|---|---|---|---|---|")
    for name in [word for word in sys.argv[1:] if word not in named] or DATASETS:
        nll, excess, seconds, _ = measure(config.make({**settings, "dataset": name}))
        gap = f"{nll.gap:.4f} ± {nll.stderr:.4f}" if nll.gap is not None else "unknown"
        print(f"| `{name}` | {nll.value:.4f} | {nll.entropy:.4f} | {gap} | {excess:.4f} | {seconds:.1f} |", flush=True)


if __name__ == "__main__":
    main()
