"""All claims, in the order of the page."""

import sys
from collections.abc import Sequence

from benchmarks.claims import forward, learned, likelihood, page, sampling, training
from benchmarks.claims.claim import FULL, QUICK, Claim

CLAIMS: list[Claim] = [*forward.CLAIMS, *training.CLAIMS, *learned.CLAIMS, *sampling.CLAIMS, *likelihood.CLAIMS]
NAMES = {claim.name: claim for claim in CLAIMS}


def main(words: Sequence[str]) -> None:
    """Measure all claims, or those that are named, and write the page; with --page it is only written."""
    from diffuse_cli.cli.device import start_jax

    wanted = [word for word in words if not word.startswith("--")]
    if unknown := set(wanted) - set(NAMES):
        sys.exit(f"there is no claim named {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    if "--page" not in words:
        start_jax()
        page.measure([NAMES[name] for name in wanted] if wanted else CLAIMS, QUICK if "--quick" in words else FULL)
    page.write(CLAIMS)
