"""A real headless Chromium; where there is none, the tests that want it are skipped by name."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.common.exceptions import NoSuchElementException, StaleElementReferenceException
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.chrome.webdriver import WebDriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
needs_chromium = pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="no Chromium here: install `chromium` and `chromium-driver` to run this"
)


@contextmanager
def chromium(home: Path, *, javascript: bool = True) -> Iterator[WebDriver]:
    assert BROWSER
    options = Options()
    options.binary_location = BROWSER
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--lang=en"):
        options.add_argument(flag)
    options.add_argument(f"--user-data-dir={home / 'chromium'}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    if not javascript:
        options.add_experimental_option("prefs", {"profile.managed_default_content_settings.javascript": 2})
    service = Service(DRIVER, env={**os.environ, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CACHE_HOME": str(home)})
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_page_load_timeout(30)
    try:
        yield driver
    finally:
        driver.quit()


def size(driver: WebDriver, width: int, height: int = 900) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def scheme(driver: WebDriver, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}, {"name": "prefers-reduced-motion", "value": "reduce"}]
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})


def picture(driver: WebDriver, path: Path) -> None:
    """The whole page."""
    import base64

    shot: dict[str, Any] = driver.execute_cdp_cmd("Page.captureScreenshot", {"captureBeyondViewport": True, "format": "png"})
    path.write_bytes(base64.b64decode(shot["data"]))


def reads(driver: WebDriver, what: str, text: str) -> None:
    """Wait until the element that `what` selects holds this text; the page may just be on its way."""
    leaving = (NoSuchElementException, StaleElementReferenceException)
    waiting = WebDriverWait(driver, 20, 0.1, ignored_exceptions=leaving)
    waiting.until(lambda d: text in d.find_element(By.CSS_SELECTOR, what).text, f"{text!r} in {what}")


def complaints(driver: WebDriver) -> list[str]:
    """What the browser's console says of the page: a policy that was broken, a file that is missing."""
    return [entry["message"] for entry in driver.get_log("browser") if "favicon" not in entry["message"]]
