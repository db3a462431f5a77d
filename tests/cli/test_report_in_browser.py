"""The report in a real browser: Debian's chromium without a window, asked through its driver. Skipped where there is
none."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from diffuse_cli.report import page
from tests.cli.conftest import call

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed (it comes with the test extra)")

from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402

from tests.cli.browser import (  # noqa: E402
    dot_of,
    media,
    move_slider,
    pixels,
    screen,
    settled,
    slider,
    switch,
    until,
)

NAME = "<img src=x onerror=document.body.remove()>é☃ & 'so'"


def _found(*names):
    return next((path for path in map(shutil.which, names) if path), None)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    binary, driver = _found("chromium", "chromium-browser", "google-chrome"), _found("chromedriver")
    if binary is None or driver is None:
        pytest.skip("there is no chromium with its driver here (on Debian: apt-get install chromium chromium-driver)")
    options = webdriver.ChromeOptions()
    options.binary_location = binary
    profile = tmp_path_factory.mktemp("profile")
    for flag in ("headless=new", "no-sandbox", "disable-dev-shm-usage", "disable-gpu", f"user-data-dir={profile}"):
        options.add_argument(f"--{flag}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture(scope="module")
def file(browser, trained, tmp_path_factory):
    """The report of a run with a name that would be markup, were it read as such."""
    folder = tmp_path_factory.mktemp("report")
    shutil.copytree(trained / "small", folder / "outputs" / NAME)
    out = folder / "report.html"
    asked = ["--sampler", "dpmpp_2m", "--sampler", "ddpm", "-n", 300, "--no-metrics", "--out", out]
    result = call("report", "--run", NAME, "--outputs", folder / "outputs", *asked)
    assert result.code == 0, result.err
    return out


@pytest.fixture
def opened(browser, file):
    """The page freshly opened on a desk, at rest; afterwards, that it had nothing to complain about."""
    browser.get_log("browser")
    screen(browser, 1200, 900)
    media(browser, ("prefers-reduced-motion", "reduce"), ("prefers-color-scheme", "light"))
    browser.get(file.as_uri())
    settled(browser)
    yield browser
    assert browser.get_log("browser") == []


def test_it_opens_and_fetches_nothing(opened):
    assert opened.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert opened.execute_script("return document.querySelectorAll('canvas').length") == 3
    first, second, third = pixels(opened)
    assert len({first, second, third}) == 3


def test_the_policy_holds(opened):
    script = """
        let seen = 0;
        document.addEventListener("securitypolicyviolation", () => { seen += 1; });
        const inline = document.createElement("script");
        inline.textContent = "document.title = 'broken into'";
        document.body.append(inline);
        const image = new Image();
        image.src = "https://example.org/x.png";
        setTimeout(arguments[0], 200, null);
        setTimeout(() => arguments[0](seen), 100);
    """
    assert opened.execute_async_script(script) >= 2
    assert opened.title != "broken into"
    assert all("Content Security Policy" in entry["message"] for entry in opened.get_log("browser"))


def test_a_name_is_text(opened):
    assert opened.title == f"{NAME} · diffuse report"
    assert opened.find_element(By.TAG_NAME, "h1").text == NAME
    assert NAME in opened.execute_script("return document.getElementById('commands').textContent").replace(
        "'\"'\"'", "'"
    )
    assert opened.execute_script("return document.querySelectorAll('img').length") == 0


def test_the_slider_moves_the_points(opened):
    seen = [pixels(opened)]
    for t in (0.25, 0.251, 1):
        move_slider(opened, t)
        seen.append(pixels(opened))
        assert f"t = {t:.3f}" in opened.find_element(By.ID, "numbers").text
    for panel in range(3):
        assert len({shown[panel] for shown in seen}) == 4
    move_slider(opened, 0)
    assert pixels(opened) == seen[0]


def test_the_journeys_in_the_browser_are_those_of_the_file(opened):
    """All panels begin and end as they should: at one noise, and sampled points at their last frames."""
    script = """
        const [forward, first, second] = journeys.map((journey) => {
          const at = (t) => { journey.at(t, journey.now); return [...journey.now]; };
          return [at(0), at(1)];
        });
        const far = (a, b) => Math.max(...a.map((value, i) => Math.abs(value - b[i])));
        return [far(forward[1], first[1]), far(forward[1], second[1]), far(first[0], second[0])];
    """
    noise, other, samples = opened.execute_script(script)
    assert max(noise, other) < 2e-3
    assert samples > 0.1


def test_the_keyboard_plays_and_steps(opened):
    body = opened.find_element(By.TAG_NAME, "body")
    body.send_keys(Keys.END)
    assert slider(opened) == 1
    body.send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
    assert slider(opened) == pytest.approx(0.98)
    body.send_keys(Keys.SPACE)
    until(lambda: slider(opened) < 0.9)
    assert opened.find_element(By.ID, "play").get_attribute("aria-label") == "Pause"
    body.send_keys(Keys.SPACE)
    rests = slider(opened)
    settled(opened)
    assert slider(opened) == rests
    body.send_keys(Keys.HOME)
    assert slider(opened) == 0
    switch(opened, "input[value=forward]")
    opened.find_element(By.ID, "play").click()
    until(lambda: slider(opened) > 0.02)
    opened.find_element(By.ID, "time").send_keys(Keys.SPACE)
    assert opened.find_element(By.ID, "play").get_attribute("aria-label") == "Play"


@pytest.mark.slow
def test_it_plays_to_the_end_by_itself_unless_less_motion_is_wanted(opened, file):
    assert slider(opened) == 0
    assert opened.find_element(By.ID, "play").get_attribute("aria-label") == "Play"
    media(opened, ("prefers-reduced-motion", "no-preference"))
    opened.get(file.as_uri())
    assert opened.find_element(By.ID, "play").get_attribute("aria-label") == "Pause"
    until(lambda: 0 < slider(opened) < 1)


@pytest.mark.slow
def test_hovering_shows_a_path_in_every_panel(opened):
    before = pixels(opened)
    canvas = opened.find_elements(By.TAG_NAME, "canvas")[1]
    ActionChains(opened).move_to_element_with_offset(canvas, *(round(each) for each in dot_of(opened, 1))).perform()
    over = pixels(opened)
    assert all(now != then for now, then in zip(over, before, strict=True))
    assert re.match(r"point \d+\nnow \(−?\d", words := opened.find_element(By.ID, "tooltip").text)
    assert re.search(r"at x −?\d+\.\d+, y −?\d+\.\d+ in data units", words)
    ActionChains(opened).move_to_element(opened.find_element(By.TAG_NAME, "h1")).perform()
    assert pixels(opened) == before
    assert not opened.find_element(By.ID, "tooltip").is_displayed()


@pytest.mark.slow
def test_a_click_keeps_the_path_and_escape_lets_it_go(opened):
    before = pixels(opened)
    canvas = opened.find_elements(By.TAG_NAME, "canvas")[0]
    ActionChains(opened).move_to_element_with_offset(
        canvas, *(round(each) for each in dot_of(opened, 0))
    ).click().perform()
    ActionChains(opened).move_to_element(opened.find_element(By.TAG_NAME, "h1")).perform()
    assert pixels(opened) != before
    opened.find_element(By.TAG_NAME, "body").send_keys(Keys.ESCAPE)
    assert pixels(opened) == before


@pytest.mark.slow
def test_density_field_and_colours_can_be_switched(opened):
    move_slider(opened, 0.3)
    seen = [pixels(opened)]
    assert not opened.find_element(By.ID, "whose-switch").is_displayed()
    for css in ("#density", "[value=flow]", "[value=exact]", "[value=both]", "[value=score]", "[value=start]"):
        switch(opened, css)
        seen.append(pixels(opened))
        assert seen[-1] != seen[-2], css
    assert opened.find_element(By.ID, "whose-switch").is_displayed()
    for css in ("#density", "[value=off]", "[value=end]"):
        switch(opened, css)
    assert pixels(opened) == seen[0]


@pytest.mark.slow
def test_light_and_dark(opened):
    ground = "return getComputedStyle(document.body).backgroundColor"
    light, drawn = opened.execute_script(ground), pixels(opened)
    media(opened, ("prefers-reduced-motion", "reduce"), ("prefers-color-scheme", "dark"))
    settled(opened)
    dark = opened.execute_script(ground)
    assert dark != light
    assert pixels(opened) != drawn
    opened.find_element(By.ID, "theme").click()
    assert opened.execute_script(ground) == light
    assert pixels(opened) == drawn


@pytest.mark.slow
def test_on_a_phone_nothing_sticks_out(opened):
    screen(opened, 360, 740, mobile=True)
    settled(opened)
    assert opened.execute_script("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
    where = "return [...document.querySelectorAll('canvas')].map((each) => [each.offsetLeft, each.offsetTop])"
    (left, top), (right, beside), (below, lower) = opened.execute_script(where)
    assert (top, left) == (beside, below)
    assert right > left
    assert lower > top
    drawn = pixels(opened)
    move_slider(opened, 0.5)
    assert pixels(opened) != drawn


@pytest.mark.slow
def test_the_loss_is_drawn_with_its_irreducible_line(opened):
    labels = opened.execute_script("return [...document.querySelectorAll('#loss li')].map((each) => each.textContent)")
    assert labels == ["training batches", "their running mean", "held out, averaged weights", "irreducible"]
    assert len(opened.find_elements(By.CSS_SELECTOR, "#loss > svg path")) == 4
    steps, held, irreducible = opened.execute_script("return [...doc.loss.held_out, doc.loss.irreducible]")
    (line,) = opened.execute_script("return excessOverSteps(doc.loss).lines")
    above = [(step, value - irreducible) for step, value in zip(steps, held, strict=True) if value > irreducible]
    np.testing.assert_allclose(list(zip(line["x"], line["y"], strict=True)), above)
    assert len(opened.find_elements(By.CSS_SELECTOR, "#loss-excess > svg path")) == 1


DRAWN_TEXT = """
    const found = [];
    const write = CanvasRenderingContext2D.prototype.fillText;
    CanvasRenderingContext2D.prototype.fillText = function (text, x, y, most) {
      const place = this.getTransform().transformPoint({ x, y });
      if (this.canvas === panels[0].brush.canvas) found.push([text, place.x, place.y]);
      write.call(this, text, x, y, most ?? 1000);
    };
    draw();
    CanvasRenderingContext2D.prototype.fillText = write;
    const { width, height } = panels[0].brush.canvas;
    return [found, width, height];
"""


def test_axes_have_numbers_where_they_belong(opened):
    """The numbers stand where the page itself puts a point with these coordinates."""
    (found, _, _), limits = opened.execute_script(DRAWN_TEXT), opened.execute_script("return scene.limits")
    place = "return [panels[0].brush.left, ...kind.places(panels[0].brush, null, [arguments[0], arguments[0]])]"
    foot = opened.execute_script("return panels[0].brush.width")  # of a plane, which is as high as wide
    counts = [0, 0]
    for text, x, y in found:
        if text[-1].isdigit():
            value, axis = float(text.replace("−", "-")), int(y < foot)
            counts[axis] += 1
            assert limits[axis][0] <= value <= limits[axis][1]
            left, across, down = opened.execute_script(place, value)
            assert (x - left, y)[axis] == pytest.approx((across, down)[axis], abs=6), (text, x, y)
    assert min(counts) >= 3
    assert [text for text, *_ in found if "model units" in text] == ["x, model units", "y, model units"]


def test_commands_can_be_copied(opened):
    """Where the clipboard is closed to a page, the command is selected, ready to be copied by hand."""
    buttons = opened.find_elements(By.CSS_SELECTOR, ".copied button")
    assert len(buttons) == 3
    script = """
        const [closed, done] = arguments;
        const taken = [];
        const clipboard = { writeText: async (text) => { if (closed) throw new Error(); taken.push(text); } };
        Object.defineProperty(navigator, "clipboard", { value: clipboard, configurable: true });
        const buttons = [...document.querySelectorAll(".copied button")];
        buttons.forEach((each) => each.click());
        setTimeout(() => done([taken, buttons.map((each) => each.textContent), String(getSelection())]), 50);
    """
    taken, words, _ = opened.execute_async_script(script, False)
    texts = opened.execute_script(
        "return [...document.querySelectorAll('.copied pre')].map((each) => each.textContent)"
    )
    assert taken == texts
    assert taken[0].startswith("dataset = ")
    assert all(text.startswith("diffuse ") for text in taken[1:])
    assert words == 3 * ["Copied"]
    assert opened.execute_async_script(script, True)[2].strip() == texts[-1]


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["bimodal", "s_curve:dim=3", "curves"])
def test_other_kinds_of_data_are_drawn_too(dataset, opened, tmp_path):
    out = tmp_path / "r.html"
    asked = ["--steps", 6, "-n", 60, "--no-metrics", "--out", out]
    assert call("report", "--exact", "--dataset", dataset, *asked).code == 0
    opened.get(Path(out).as_uri())
    still = pixels(opened)
    move_slider(opened, 0.5)
    moved = pixels(opened)
    assert all(now != then for now, then in zip(moved, still, strict=True))
    found, width, height = opened.execute_script(DRAWN_TEXT)
    assert sum(text[-1].isdigit() for text, *_ in found) >= 6
    assert all(0 <= x <= width and 0 <= y <= height for _, x, y in found)
    opened.execute_script("choose(3, panels[1], 50, 50)")
    assert pixels(opened) != moved
    assert opened.find_element(By.ID, "tooltip").is_displayed()


@pytest.mark.slow
def test_metrics_are_shown_as_text(opened, tmp_path, file):
    document = json.loads(re.search(r'id="document">(.*?)</script>', file.read_text(), re.S)[1])
    row = {"name": "<b>w2</b>", "floor": "0.1 ± 0.02", "n": "2,000", "cells": [["0.11", True], ["0.5", False]]}
    document["metrics"] = {
        "samples": 2000,
        "columns": ["a", "</script><b>"],
        "rows": [row],
        "others": [["NLL", "1.2 nats"]],
        "excess": [[-1, 0, 1], [0.2, 0.3, 0.4], [0.1, 0.2, 0.35]],
    }
    (tmp_path / "r.html").write_bytes(page.render(document))
    opened.get((tmp_path / "r.html").as_uri())
    settled(opened)
    cells = [cell.text for cell in opened.find_elements(By.CSS_SELECTOR, "#distances td")]
    assert cells == ["<b>w2</b>", "0.1 ± 0.02", "0.11", "0.5", "2,000"]
    assert [cell.text for cell in opened.find_elements(By.CSS_SELECTOR, "#distances th")][3] == "</script><b>"
    assert len(opened.find_elements(By.CSS_SELECTOR, "#excess > svg path")) == 1


@pytest.mark.slow
def test_arrows_point_along_the_score_and_the_flow(opened, trained):
    """What the page makes of the numbers it holds, against the denoiser they came from."""
    from diffuse_cli import catalog
    from diffuse_cli.diffusion import likelihood
    from diffuse_cli.diffusion.process import log_snr_of
    from diffuse_cli.figures import grids, paths
    from diffuse_cli.models import run_folder
    from diffuse_cli.models.model import model_of_run

    model = model_of_run(run_folder.open_run(trained / "small"))
    angle, cells, limits = opened.execute_script("return [doc.field.angle[9], doc.field.cells, scene.limits]")
    log_snr = log_snr_of(np.array([angle]))
    t = float(paths.times_of(model.process, log_snr)[0])
    script = """
        const [t, cells] = arguments;
        const squeezed = fieldAt.model(t);
        const found = {flow: [], score: []};
        for (let i = 0; i < cells; i++) for (let j = 0; j < cells; j++) {
            const at = 2 * (i * cells + j);
            const flow = [squeezed[at] / 32767, squeezed[at + 1] / 32767];
            found.flow.push(flow);
            found.score.push(scoreArrow(flow, i, j, t));
        }
        return found;
    """
    found = opened.execute_script(script, t, cells)
    low, high = np.array(limits).T
    _, places = likelihood.grid(low, high, (cells, cells))
    for name, kind, scale in (("flow", "v", 1.0), ("score", "score", np.sin(angle))):
        said = catalog.build("prediction", kind, model.process)
        field = scale * grids.fields_on_grid(model.for_sampling(), said, log_snr, places)[0].reshape(-1, 2)
        expected = field / (1 + np.linalg.norm(field, axis=1, keepdims=True))
        np.testing.assert_allclose(found[name], expected, atol=0.02, err_msg=name)
