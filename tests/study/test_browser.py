"""The page in a browser, where there is one: filled by its keys, closed, opened again, and analysed."""

import base64
import hashlib
import html
import json
import re
import shutil
import subprocess

import pytest

from pnapo.study.analyse import analyse
from pnapo.study.make import make

from .conftest import PROMPTS, RUNS

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
pytestmark = pytest.mark.skipif(BROWSER is None, reason="needs chromium")

# Presses the keys that a person would, for 30 pairs; leaves where it is and what would be saved in the document.
DRIVER = """
const $ = (id) => document.getElementById(id);
const press = (key) => (document.activeElement ?? document.body).dispatchEvent(
  new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
if (!$("intro").hidden) {
  $("rater").value = "  Ann   <b>Ö</b> ";
  $("begin").requestSubmit();
  press("Enter"); // nothing is answered yet
}
for (let n = 0; n < 30; n++) {
  for (const key of ["1", "3", "2"]) press(key);
  $("next").click();
}
press("Backspace");
press("3"); // all is answered, and no question has the focus
press("Enter");
const told = document.body.appendChild(document.createElement("pre"));
told.textContent = $("end").hidden ? $("where").textContent : $("text").value;
"""


def told(page, profile):
    """What the driver tells of the page after it has run there. The page's policy allows it, and nothing else is changed."""
    allowed = f"'sha256-{base64.b64encode(hashlib.sha256(DRIVER.encode()).digest()).decode()}'"
    text = page.read_text("utf-8").replace("script-src ", f"script-src {allowed} ", 1)
    driven = page.with_name("driven.html")
    driven.write_text(text.replace("</body>", f"<script>{DRIVER}</script></body>"), "utf-8")
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        "--dump-dom",
    ]
    done = subprocess.run([BROWSER, *options, driven.as_uri()], capture_output=True, timeout=600, check=True)
    document = done.stdout.decode()
    assert "<title>Which picture?</title>" in document  # nothing that stands in a prompt has run
    return html.unescape(re.search(r"<pre>(.*)</pre>", document, re.S)[1])


def test_a_rater_fills_the_page(results, tmp_path):
    made = make(results(), "sd3", RUNS[:2], "heldout", len(PROMPTS), 0, tmp_path / "study.html")
    assert told(made.page, tmp_path / "profile") == "Pair 31 of 60"
    saved = tmp_path / "ann.json"
    saved.write_text(told(made.page, tmp_path / "profile"), "utf-8")
    assert json.loads(saved.read_text("utf-8"))["rater"] == "Ann <b>Ö</b>"
    lefts = sum(pair["left"] == RUNS[0] for pair in json.loads(made.key.read_text("utf-8"))["pairs"]) / len(PROMPTS)
    shares = analyse(made.key, [saved], tmp_path / "study.csv")["share"]
    assert shares.tolist() == pytest.approx([lefts, 1 - lefts, 0.5])  # left, right and no difference throughout
