"""Draw the figures of gallery.md again: run each command of the page, with the picture below it as its --out.

    python docs/redraw.py            all of them, after the runs that they show
    python docs/redraw.py field …    those pictures only, by name; runs that are there are used again

Runs land in outputs/gallery.
"""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
OUTPUTS = HERE.parent / "outputs" / "gallery"
BLOCK = re.compile(r"```sh\n(?P<commands>.*?)```\n(?:\n!\[[^\]]*\]\((?P<picture>[^)]+)\))?", re.DOTALL)
DPI = "90"


def main(wanted: list[str]) -> None:
    blocks = [match.groupdict() for match in BLOCK.finditer((HERE / "gallery.md").read_text())]
    if unknown := set(wanted) - {Path(block["picture"]).stem for block in blocks if block["picture"]}:
        sys.exit(f"there is no picture named {', '.join(sorted(unknown))} in gallery.md")
    for block in blocks:
        commands = block["commands"].replace("\\\n", " ").strip().splitlines()
        if block["picture"] is None:
            for command in commands:
                train(command)
        elif not wanted or Path(block["picture"]).stem in wanted:
            (command,) = commands
            draw(command, HERE / block["picture"])


def train(command: str) -> None:
    """A run that a later figure shows, unless it is there."""
    name = command.partition("--dataset ")[2].split()[0]
    if not (OUTPUTS / name / "checkpoint.safetensors").is_file():
        diffuse(command, "--name", name)


def draw(command: str, picture: Path) -> None:
    size = [] if picture.suffix == ".gif" else ["--dpi", DPI]
    diffuse(command, "--out", str(picture), *size)


def diffuse(command: str, *more: str) -> None:
    words = [*shlex.split(command)[1:], *more, "--quiet"]
    print("diffuse", *words, flush=True)
    environment = os.environ | {"DIFFUSE_OUTPUTS": str(OUTPUTS)}
    subprocess.run([sys.executable, "-m", "diffuse_cli", *words], check=True, cwd=HERE.parent, env=environment)


if __name__ == "__main__":
    main(sys.argv[1:])
