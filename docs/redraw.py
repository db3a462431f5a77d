"""Draw the figures of the gallery, of guidance.md and of inverse-problems.md again: run each command above a picture.

Each is run with the picture as its --out, or as the --figure of diffuse solve. The picture of python.md is drawn by its
own example, which writes forward.png where it is run.

    python docs/redraw.py            all of them, after the runs that they show
    python docs/redraw.py field …    those pictures only, by name; runs that are there are used again
    python docs/redraw.py claims …   claims.md: all claims measured again (40 minutes), or those that are named; with
                                     --missing those without figures, with --page none, only the page is written

Runs land in outputs/gallery. The picture of the report is taken by Chromium and its
driver, which have to be there for it.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
OUTPUTS = HERE.parent / "outputs" / "gallery"
BLOCK = re.compile(r"```sh\n(?P<commands>.*?)```\n(?:\n!\[[^\]]*\]\((?P<picture>[^)]+)\))?", re.DOTALL)
PAGES = ("gallery.md", "guidance.md", "inverse-problems.md", "latent.md")
DPI = "90"
PAGE = "window-size=1180,940"
SHOWN = """
  document.getElementById("density").click();
  const time = document.getElementById("time");
  time.value = 0.16;
  time.dispatchEvent(new Event("input", { bubbles: true }));
"""


def main(wanted: list[str]) -> None:
    if wanted[:1] == ["claims"]:
        sys.path.insert(0, str(HERE.parent))
        from benchmarks.claims import table

        table.main(wanted[1:])
        return
    blocks = [match.groupdict() for page in PAGES for match in BLOCK.finditer((HERE / page).read_text())]
    if unknown := set(wanted) - {Path(block["picture"]).stem for block in blocks if block["picture"]}:
        sys.exit(f"there is no picture named {', '.join(sorted(unknown))} in {' or '.join(PAGES)}")
    for block in blocks:
        commands = block["commands"].replace("\\\n", " ").strip().splitlines()
        if block["picture"] is None:
            for command in commands:
                if command.startswith("diffuse train "):
                    train(command)
        elif not wanted or Path(block["picture"]).stem in wanted:
            (command,) = commands
            draw(command, HERE / block["picture"])


def train(command: str) -> None:
    """A run that a later figure shows, unless it is there."""
    words = shlex.split(command)
    name = next(words[words.index(flag) + 1] for flag in ("--name", "--config", "--dataset") if flag in words)
    if not (OUTPUTS / name / "checkpoint.safetensors").is_file():
        diffuse(command, *([] if "--name" in words else ["--name", name]))


def draw(command: str, picture: Path) -> None:
    if command.startswith("diffuse report"):
        photograph(command, picture)
        return
    size = [] if picture.suffix == ".gif" else ["--dpi", DPI]
    flag = "--figure" if command.startswith("diffuse solve") else "--out"  # the other is for its samples
    diffuse(command, flag, str(picture), *size)


def photograph(command: str, picture: Path) -> None:
    """The page of a run in Chromium, by its driver, with its density shown a moment before the data."""
    from selenium import webdriver

    page = OUTPUTS / "report.html"
    diffuse(command, "--out", str(page))
    options = webdriver.ChromeOptions()
    options.binary_location = shutil.which("chromium")
    for flag in ("headless=new", "no-sandbox", "hide-scrollbars", "force-prefers-reduced-motion", PAGE):
        options.add_argument(f"--{flag}")
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    browser.get(page.as_uri())
    browser.execute_script(SHOWN)
    time.sleep(1)
    browser.save_screenshot(str(picture))
    browser.quit()


def diffuse(command: str, *more: str) -> None:
    words = [*shlex.split(command)[1:], *more, "--quiet"]
    print("diffuse", *words, flush=True)
    environment = os.environ | {"DIFFUSE_OUTPUTS": str(OUTPUTS)}
    subprocess.run([sys.executable, "-m", "diffuse_cli", *words], check=True, cwd=HERE.parent, env=environment)


if __name__ == "__main__":
    main(sys.argv[1:])
