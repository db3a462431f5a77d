"""The rows of the tables that show a Quality."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from diffuse_cli.analysis.digits import rounded_to, with_spread

if TYPE_CHECKING:
    from diffuse_cli.analysis.quality import Nll, Quality
    from diffuse_cli.analysis.student_quality import Judgement, StudentKl
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


_MARKS = {True: "=", False: "≠", None: "?"}
STUDENT_MARKS = "= indistinguishable from truth   ≠ differs   ? cannot judge"


def student_header(judged: Sequence["Judgement"]) -> tuple[str, ...]:
    """The headings of `student_rows`."""
    return ("evaluations", *(f"{each.drawn.evals}" for each in judged), "noise floor", "n")


def student_rows(judged: Sequence["Judgement"]) -> list[tuple[str, ...]]:
    """A student's figures, a row each: by numbers of evaluations, then the floor, then the number of points.

    A distance has a mark of STUDENT_MARKS behind it.
    """
    rows = []
    gaps, kls = [each.gap for each in judged], [each.kl for each in judged]
    if (gap := gaps[0]) is not None:
        of_gaps = partial(_row, gaps, n=gap.n)
        rows += [
            of_gaps("map gap, rms", lambda gap: f"{gap.rms:.3g}", floor="0"),
            of_gaps("map gap, median", lambda gap: f"{gap.median:.3g}", floor="0"),
            of_gaps("half of its square from", lambda gap: f"{gap.half_from:.2%}"),
        ]
    if (kl := kls[0]) is not None:
        of_kls = partial(_row, kls, n=kl.n)
        rows += [
            of_kls("KL(student ‖ data), nats", _kl_cell, floor="0"),
            of_kls("± standard error", lambda kl: "" if kl.stderr is None else f"{kl.stderr:.2g}"),
            of_kls("folded", lambda kl: f"{kl.folds:.2%}", floor="0"),
        ]
        if any(each is not None and each.outside for each in kls):
            rows.append(of_kls("outside of the data", lambda kl: f"{kl.outside:.2%}", floor="0"))
    for name in judged[0].scores:
        scores = [each.scores[name] for each in judged]
        cells = [f"{rounded_to(score.value, score.floor_std)} {_MARKS[score.indistinguishable]}" for score in scores]
        rows.append((name, *cells, with_spread(scores[0].floor, scores[0].floor_std), f"{scores[0].n:,}"))
    return rows


def _row(figures: Sequence[Any], name: str, cell: Callable[[Any], str], *, n: int, floor: str = "") -> tuple[str, ...]:
    """A row of `student_rows`; jumps with new noise have no such figures."""
    return (name, *("-" if each is None else cell(each) for each in figures), floor, f"{n:,}")


def _kl_cell(kl: "StudentKl") -> str:
    """The KL of a student: where its map folds a lower bound."""
    if kl.value is None:
        return "∞" if kl.outside else "unknown"
    return f"{'≥ ' * (kl.folds > 0)}{rounded_to(kl.value, kl.stderr)}"


def student_notes(judged: Sequence["Judgement"]) -> list[str]:
    """What a reader has to know of the figures of a student, where it is so."""
    notes = []
    if judged[0].kl is None:
        notes.append("The law of the data is not known, so neither is how far each sample is from its exact place")
    elif judged[0].gap is None:
        notes.append("This student has not learned the flow of the data, so its samples are not compared one by one")
    if any(each.kl is not None and each.kl.folds for each in judged):
        notes.append(
            "Where a student's map folds, its density is the sum over all noises that end at a place, and the KL a "
            "lower bound (≥)"
        )
    if unsolved := [each.gap.unsolved for each in judged[:1] if each.gap is not None and each.gap.unsolved]:
        notes.append(f"The exact flow could not be solved for {unsolved[0]:,} of the points of the map gap")
    return notes


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
