"""The rows of the tables that show a Quality."""

from typing import TYPE_CHECKING

from diffuse_cli.analysis.digits import rounded_to, with_spread

if TYPE_CHECKING:
    from diffuse_cli.analysis.quality import Nll, Quality
    from diffuse_cli.metrics.noise_floors import Score

DISTANCES = ("distance", "model", "noise floor", "n", "")


def distance_row(name: str, score: "Score") -> tuple[str, str, str, str, str]:
    """One distance under the headings DISTANCES: its value, its noise floor, the number of points, and the verdict."""
    return (
        name,
        rounded_to(score.value, score.floor_std),
        with_spread(score.floor, score.floor_std),
        f"{score.n:,}",
        verdict(score),
    )


def verdict(score: "Score") -> str:
    """The verdict on one distance, in words.

    >>> from diffuse_cli.metrics.noise_floors import Score
    >>> verdict(Score(value=0.3, floor=0.3, floor_std=0.2, n=3, repeats=20, indistinguishable=None))
    'cannot judge (n = 3)'
    """
    if score.indistinguishable is None:
        return f"cannot judge (n = {score.n:,})"
    return "indistinguishable from truth" if score.indistinguishable else "differs"


NLL_BY_LABEL = ("label", "NLL, nats", "entropy", "KL(truth ‖ model)")


def nll_cells(nll: "Nll") -> tuple[str, str, str]:
    """The cells of a likelihood under the headings NLL_BY_LABEL, after that of the label."""
    if nll.failed:
        return "unknown", "", ""
    if nll.gap is None:
        return with_spread(nll.value, nll.stderr), "unknown", "unknown"
    return rounded_to(nll.value, nll.stderr), f"{nll.entropy:.4f}", with_spread(nll.gap, nll.stderr)


def nll_rows(nll: "Nll") -> list[tuple[str, str]]:
    """Names and values of the likelihood, the entropy and their gap, or the reason why they are unknown."""
    if nll.failed:
        return [("NLL", f"unknown: the ODE solver failed at {nll.failed:,} of {nll.n:,} points")]
    if nll.gap is None:
        return [("NLL", f"{with_spread(nll.value, nll.stderr)} nats (n = {nll.n:,})")]
    return [
        ("NLL", f"{rounded_to(nll.value, nll.stderr)} nats"),
        ("entropy of the truth", f"{nll.entropy:.4f} nats"),
        ("their gap, KL(truth ‖ model)", f"{with_spread(nll.gap, nll.stderr)} nats"),
    ]


def other_rows(quality: "Quality") -> list[tuple[str, str]]:
    """Names and values of the excess loss and of memorisation, where they are known."""
    rows = []
    if quality.excess is not None:
        worst = max(zip(*quality.excess[:3], strict=True), key=lambda row: row[1] - row[2])
        rows.append(("excess loss, all levels", f"{quality.excess.total:.4f} nats, most at log-SNR {worst[0]:.1f}"))
    if (memory := quality.memorisation) is not None:
        right = "½ is right" if memory.judges else f"cannot judge (n = {memory.held_out})"
        rows += [
            (
                "nearer to a training point",
                f"{with_spread(memory.nearer, memory.nearer_stderr)} than new data; {right}",
            ),
            ("nearest training point", f"{memory.median:.4g}; of new data {memory.held_out_median:.4g} (medians)"),
        ]
    return rows


def metrics_left_out(quality: "Quality") -> str | None:
    """A note that names the distances for which there were too few points; None if there are none."""
    if not quality.left_out:
        return None
    needs = ", ".join(f"{name} (needs {least})" for name, least in quality.left_out.items())
    return f"Too few points are held out: {quality.compared} can be compared, so these are left out: {needs}"
