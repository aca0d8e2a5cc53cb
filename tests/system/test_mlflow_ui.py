"""What a reviewer sees: the registered version, its run and its report in MLflow's web page, in a real browser.

The screenshots go to the folder that CTRSEL_SCREENSHOTS names, for a person to look at.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlparse

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(900)]

WAIT = 240  # seconds; the page asks the server for much, and the machine may be busy


def wait_for(browser, *texts):
    """Wait until all texts stand on the page, and return the page's text."""
    from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support.ui import WebDriverWait

    def page(_):
        text = browser.find_element(By.TAG_NAME, "body").text
        return text if all(t in text for t in texts) else False

    try:
        # What was found may be drawn anew before its text is read.
        return WebDriverWait(browser, WAIT, ignored_exceptions=[StaleElementReferenceException]).until(page)
    except TimeoutException:
        pytest.fail(f"not all of {texts} on the page:\n{browser.find_element(By.TAG_NAME, 'body').text[:3000]}")


def wait_for_frame(browser):
    """Wait for the frame in which MLflow shows an HTML file, and go into it."""
    from selenium.webdriver.common.by import By
    from selenium.webdriver.support import expected_conditions
    from selenium.webdriver.support.ui import WebDriverWait

    WebDriverWait(browser, WAIT).until(
        expected_conditions.frame_to_be_available_and_switch_to_it((By.TAG_NAME, "iframe"))
    )


@pytest.fixture
def page(registered, serve, browser):
    """Address of a running server, and the shown pages."""
    uri = registered.made.tracking_uri
    return serve("server", "--backend-store-uri", uri, "--workers", "1", health="/health", uri=uri)


def test_a_reviewer_finds_the_version_its_run_and_its_report(registered, page, browser, shots):
    from mlflow import MlflowClient
    from selenium.webdriver.common.by import By

    made = registered.made
    run = MlflowClient(tracking_uri=made.tracking_uri).get_run(made.run_id)
    browser.get(f"{page}/#/models/tiny")
    wait_for(browser, "tiny", "Version 1", "Version 2", "champion", "challenger")
    browser.save_screenshot(str(shots / "1-model.png"))

    browser.get(f"{page}/#/models/tiny/versions/1")
    wait_for(browser, "champion", "verdict", "promoted", "0.7500 (0.7200 to 0.7800)", "The small net keeps half")
    wait_for(browser, run.info.run_name, "net, all values", "0.7510")
    tables = browser.find_elements(By.CSS_SELECTOR, "table")
    assert any("net, all values" in t.text and "0.7510" in t.text for t in tables)
    browser.save_screenshot(str(shots / "2-version.png"))

    address = f"{page}/#/experiments/{run.info.experiment_id}/runs/{made.run_id}"
    browser.get(address)
    wait_for(browser, "test_auc", "verdict", run.inputs.dataset_inputs[0].dataset.digest)
    browser.save_screenshot(str(shots / "3-run.png"))

    browser.get(f"{address}/artifacts/report/index.html")
    wait_for(browser, "contenders.csv", "feature_set", "index.html")
    wait_for_frame(browser)
    wait_for(browser, "A tiny report")
    browser.switch_to.default_content()
    browser.save_screenshot(str(shots / "4-artifacts.png"))

    browser.get(f"{page}/#/experiments/{run.info.experiment_id}/runs")
    wait_for(browser, run.info.run_name)
    browser.save_screenshot(str(shots / "6-experiment.png"))

    file = Path(unquote(urlparse(run.info.artifact_uri).path)) / "report" / "index.html"
    browser.get(file.as_uri())
    wait_for(browser, "A tiny report", "keeps half of the values")
    browser.save_screenshot(str(shots / "5-report.png"))
