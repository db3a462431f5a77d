"""The rows that tell of a likelihood, which two commands print."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from diffuse_cli.quality import Nll


def nll_rows(nll: "Nll") -> list[tuple[str, str]]:
    """The likelihood in words, for a table."""
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
