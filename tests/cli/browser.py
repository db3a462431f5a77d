"""What tests of the page ask of a browser: its screen, the slider, what it draws."""

import time

from selenium.webdriver.common.by import By

PATIENCE = 20  # seconds: only what never comes is waited for so long


def screen(browser, width, height, mobile=False):
    said = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", said)


def media(browser, *features):
    said = [{"name": name, "value": value} for name, value in features]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": said})


def settled(browser):
    """Wait until all that was asked for has been drawn: two frames of the screen."""
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def until(condition):
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it never came"
        time.sleep(0.02)


def pixels(browser):
    """What every panel shows now."""
    settled(browser)
    return browser.execute_script("return [...document.querySelectorAll('canvas')].map((each) => each.toDataURL())")


def move_slider(browser, t):
    script = """
        const slider = document.querySelector("input[type=range]");
        slider.value = arguments[0];
        slider.dispatchEvent(new Event("input", {bubbles: true}));
    """
    browser.execute_script(script, t)


def slider(browser):
    return float(browser.find_element(By.ID, "time").get_attribute("value"))


def switch(browser, css):
    browser.execute_script("document.querySelector(arguments[0]).click()", css)


def dot_of(browser, panel):
    """Where some point is now, in pixels from the middle of a panel's canvas."""
    script = """
        const {brush, journey} = panels[arguments[0]];
        const places = kind.places(brush, journey, journey.now);
        return [brush.left + places[0] - brush.canvas.clientWidth / 2, places[1] - brush.height / 2];
    """
    return browser.execute_script(script, panel)
