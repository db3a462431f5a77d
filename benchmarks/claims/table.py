"""All claims, in the order of the page."""

import sys
from collections.abc import Sequence

from benchmarks.claims import advantages, forward, learned, likelihood, others, page, sampling, training
from benchmarks.claims.claim import FULL, QUICK, Claim

CLAIMS: list[Claim] = [
    *forward.CLAIMS,
    *training.CLAIMS,
    *learned.CLAIMS,
    *sampling.CLAIMS,
    *likelihood.CLAIMS,
    *advantages.CLAIMS,
    *others.CLAIMS,
]
NAMES = {claim.name: claim for claim in CLAIMS}


def main(words: Sequence[str]) -> None:
    """Measure all claims, or those that are named, and write the page.

    --missing: only those of which there are no figures. --page: none; the page is only written. --quick: all on a tiny
    scale, to see whether it runs; nothing is written.
    """
    from diffuse_cli.cli.device import start_jax

    wanted = [word for word in words if not word.startswith("--")]
    if unknown := set(wanted) - set(NAMES):
        sys.exit(f"there is no claim named {', '.join(sorted(unknown))}; there are: {', '.join(NAMES)}")
    chosen = [NAMES[name] for name in wanted] if wanted else CLAIMS
    if "--missing" in words:
        kept = page.records()
        chosen = [claim for claim in chosen if not (claim.name in kept and kept[claim.name].figures)]
    if "--quick" in words:
        start_jax()
        page.measure(chosen, QUICK, None)
        return
    if "--page" not in words:
        start_jax()
        page.measure(chosen, FULL, page.RESULTS)
    page.write(CLAIMS)
