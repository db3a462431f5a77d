"""A quality in words: the rows of the tables that tell of it."""

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffuse_cli.analysis.quality import Nll, Quality
    from diffuse_cli.metrics.noise_floors import Score

DISTANCES = ("distance", "model", "noise floor", "n", "")


def distance_row(name: str, score: "Score") -> tuple[str, str, str, str, str]:
    """One distance under the headings DISTANCES: its figure, its floor, of how many points, and the verdict."""
    return (
        name,
        f"{score.value:.4g}",
        f"{score.floor:.4g} ± {score.floor_std:.2g}",
        f"{score.n:,}",
        "indistinguishable from truth" if score.indistinguishable else "differs",
    )


def nll_rows(nll: "Nll") -> list[tuple[str, str]]:
    """The likelihood."""
    if nll.failed:
        return [("NLL", f"unknown: the ODE solver failed at {nll.failed:,} of {nll.n:,} points")]
    if nll.gap is None:
        spread = "" if nll.stderr is None else f" ± {nll.stderr:.4f}"
        return [("NLL", f"{nll.value:.4f}{spread} nats")]
    return [
        ("NLL", f"{nll.value:.4f} nats"),
        ("entropy of the truth", f"{nll.entropy:.4f} nats"),
        ("their gap, KL(truth ‖ model)", f"{nll.gap:.4f} ± {nll.stderr:.4f} nats"),
    ]


def other_rows(found: "Quality") -> list[tuple[str, str]]:
    """The excess loss and what was memorised, where they are known."""
    rows = []
    if found.excess is not None:
        worst = max(zip(*found.excess[:3], strict=True), key=lambda row: row[1] - row[2])
        rows.append(("excess loss, all levels", f"{found.excess.total:.4f} nats, most at log-SNR {worst[0]:.1f}"))
    if (memory := found.memorisation) is not None:
        spread = f" ± {memory.nearer_stderr:.3f}" if math.isfinite(memory.nearer_stderr) else ""
        rows += [
            ("nearer to a training point", f"{memory.nearer:.3f}{spread} than new data; ½ is right"),
            ("nearest training point", f"{memory.median:.4g}; of new data {memory.held_out_median:.4g} (medians)"),
        ]
    return rows


def metrics_left_out(found: "Quality") -> str | None:
    """Which distances there were too few points for."""
    if not found.left_out:
        return None
    needs = ", ".join(f"{name} (needs {least})" for name, least in found.left_out.items())
    return f"Too few points are held out: {found.compared} can be compared, so these are left out: {needs}"
