"""docs/claims.json, the figures of the claims, and docs/claims.md, which is rendered from it and from the table."""

import json
import math
import os
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.claims.claim import ARTICLES, FAILS, HOLDS, PARTLY, UNKNOWN, Claim, Figure, Figures, Size
from diffuse_cli.files import write_file

DOCS = Path(__file__).parents[2] / "docs"
RESULTS, PAGE = DOCS / "claims.json", DOCS / "claims.md"
HEAD = """# What the articles claim, measured

Five introductions to diffusion models ([from article to command](articles.md)) make claims. Those that can be measured
on toy data are measured here. The rule of each verdict was written before its claim was measured. A verdict, *holds*,
*holds in part* or *does not hold here*, speaks of this laboratory with its small networks in the plane, and of nothing
else. ± is one standard error: over seeds where several runs are compared, else over points. Distances are sliced W2 in
*noise floors*: 1 is what a perfect model has on average, and *limit* the most that it may have by chance.

This page is written by a program, from `claims.json`: `python docs/redraw.py claims` measures all claims and writes
both again, `claims NAME …` some of them, `claims --missing` those that have no figures yet, and `claims --page` none.
"""


class Record(NamedTuple):
    """What was measured of a claim: its figures, the seconds that it took, where, and a loop of 10⁷ additions there."""

    figures: Figures
    seconds: float
    machine: str
    loop: float


def machine() -> str:
    """The machine in words."""
    import jax

    model = ""
    if (info := Path("/proc/cpuinfo")).is_file():
        names = [
            line.partition(":")[2].strip() for line in info.read_text().splitlines() if line.startswith("model name")
        ]
        model = names[0] if names else ""
    kind = f"{len(os.sched_getaffinity(0))} cores, {model or platform.machine()}"
    return f"{kind}; Python {platform.python_version()}, jax {jax.__version__} on {jax.default_backend()}"


def loop() -> float:
    """The seconds of a loop of ten million additions."""
    began, total = time.perf_counter(), 0
    for number in range(10**7):
        total += number
    return time.perf_counter() - began


def measure(claims: Sequence[Claim], size: Size, results: Path | None) -> None:
    """Measure claims, one after the other; each is kept in the file `results` as soon as it is there."""
    where, additions = machine(), loop()
    for claim in claims:
        if claim.measure is None:
            continue
        began = time.perf_counter()
        figures = claim.measure(size)
        seconds = time.perf_counter() - began
        if results is not None:
            keep(results, claim.name, Record(figures, seconds, where, additions))
        print(f"{claim.name}: {claim.judge(figures) if figures else UNKNOWN} ({seconds:.0f} s)", flush=True)


def keep(results: Path, name: str, record: Record) -> None:
    """Write a record beside the others."""
    document = json.loads(results.read_text()) if results.is_file() else {}
    figures = {key: [_number(figure.value), figure.error] for key, figure in record.figures.items()}
    document[name] = record._asdict() | {
        "figures": figures,
        "seconds": round(record.seconds),
        "loop": round(record.loop, 2),
    }
    text = json.dumps(dict(sorted(document.items())), indent=1, ensure_ascii=False, allow_nan=False)
    text = re.sub(r"\[\s+(\S+,)\s+(\S+)\s+\]", r"[\1 \2]", text)  # a figure on one line
    write_file(results, (text + "\n").encode())


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def records(results: Path = RESULTS) -> dict[str, Record]:
    """What is kept, by name of the claim."""
    document: dict[str, Any] = json.loads(results.read_text(encoding="utf-8"))
    return {
        name: Record(
            {
                key: Figure(math.inf if value is None else value, error)
                for key, (value, error) in kept["figures"].items()
            },
            kept["seconds"],
            kept["machine"],
            kept["loop"],
        )
        for name, kept in document.items()
    }


def render(claims: Sequence[Claim], kept: dict[str, Record]) -> str:
    """The page."""
    judged = {claim.name: verdict(claim, kept) for claim in claims}
    counts = [f"*{each}*: {list(judged.values()).count(each)}" for each in (HOLDS, PARTLY, FAILS, UNKNOWN)]
    loops: dict[str, list[float]] = {}
    for record in kept.values():
        loops.setdefault(record.machine, []).append(record.loop)
    lines = [HEAD, f"{len(claims)} claims; " + ", ".join(counts) + ".", ""]
    for where, taken in sorted(loops.items()):
        ends = " to ".join(dict.fromkeys(f"{each:.2f}" for each in (min(taken), max(taken))))
        lines.append(f"Measured on {where}, with other work beside: a loop of 10⁷ additions took {ends} s.")
    lines += ["", "| claim | article | measured | verdict |", "|---|---|---|---|"]
    for claim in claims:
        record = kept.get(claim.name)
        told = claim.short(record.figures) if record and record.figures else "–"
        words = f"[{claim.words}](#{claim.name})"
        lines.append(f"| {words} | {', '.join(claim.articles)} | {told} | **{judged[claim.name]}** |")
    lines += ["", "Articles: " + "; ".join(f"*{short}*: {title}" for short, title in ARTICLES.items()) + "."]
    for claim in claims:
        lines += ["", *section(claim, judged[claim.name], kept.get(claim.name))]
    return "\n".join(lines) + "\n"


def verdict(claim: Claim, kept: dict[str, Record]) -> str:
    """The verdict on a claim, by its rule and its figures."""
    record = kept.get(claim.name)
    return claim.judge(record.figures) if record and record.figures else UNKNOWN


def section(claim: Claim, judged: str, record: Record | None) -> list[str]:
    """What the page says of one claim."""
    lines = [f"## {claim.name}", "", f"{claim.words} ({', '.join(claim.articles)})", ""]
    lines += [f"Rule: {claim.rule}", ""]
    lines += [f"**{judged[0].upper()}{judged[1:]}.** {claim.because.get(judged, '')}".rstrip(), ""]
    lines += ["```sh", claim.command, "```"]
    if record and record.figures:
        lines += ["", *table(record.figures), "", f"Measured in {record.seconds:.0f} s."]
    return lines


def table(figures: Figures) -> list[str]:
    """Figures "row / column" as a Markdown table."""
    names = [key.rpartition(" / ")[::2] for key in figures]
    rows, columns = dict.fromkeys(name for name, _ in names), dict.fromkeys(name for _, name in names)
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for name in rows:
        cells = [str(figures.get(f"{name} / {each}", "")) for each in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def write(claims: Sequence[Claim]) -> None:
    """Write the page again from what is kept."""
    write_file(PAGE, render(claims, records()).encode())
