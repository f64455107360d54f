import json
import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from pnapo.artifacts import verify_manifest, write_csv
from pnapo.errors import UserError


class Page(HTMLParser):
    """What a browser would load, and what stands in each kind of element."""

    VOID = ("meta", "link", "img", "input", "use", "path", "br")

    def __init__(self, text):
        super().__init__()
        self.tags, self.loads, self.open, self.texts = [], [], [], {}
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.loads += [v for k, v in attributes if k in ("src", "href", "srcset", "data", "action", "poster")]
        if tag not in self.VOID:
            self.open.append(tag)
            self.texts.setdefault(tag, []).append("")

    def handle_startendtag(self, tag, attributes):
        self.handle_starttag(tag, attributes)
        if tag not in self.VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        for tag in set(self.open):
            self.texts[tag][-1] += data


@pytest.fixture
def build(results, script):
    """build(name) writes the report and returns its text."""

    def run(name="report.html"):
        script("report", "--results", results, "--config", results / "config.json", "--out", results / name)
        return (results / name).read_text("utf-8")

    return run


def test_page_loads_nothing_and_holds_every_part(build, results):
    text = build()
    page = Page(text)
    assert not page.open
    assert {v.split(":")[0] if not v.startswith("#") else "#" for v in page.loads} == {"data", "#"}
    assert not {"script", "iframe", "object", "base"} & set(page.tags)
    assert not re.search(r"@import|url\((?!#)", " ".join(page.texts["style"]))
    assert "default-src 'none'" in text
    for heading in ("Results", "GenEval by task", "Images", "Training", "Preference data", "Cost", "Settings"):
        assert heading in page.texts["h2"]
    assert page.texts["h1"] == ["A <b>small</b> world & more"]
    # forest, hacking, metrics 3, GenEval 2 tasks + overall, growth, training 2 losses + 6, funnel, gaps, f of pnapo
    assert page.tags.count("svg") == 2 + 3 + 3 + 1 + 8 + 1 + 1 + 1 == len(list((results / "figures").glob("*.svg")))
    assert page.tags.count("img") == (9 + 6) * 4
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids))
    assert {v[1:] for v in page.loads if v.startswith("#")} <= set(ids)


def test_laboratory_stands_first_says_what_holds_and_stays_legible(laboratory, script, tmp_path):
    pages = []
    for name in ("a.html", "b.html"):
        script("report", "--results", laboratory, "--config", laboratory / "config.json", "--out", tmp_path / name)
        pages.append((tmp_path / name).read_bytes())
    assert pages[0] == pages[1]
    text = pages[0].decode()
    page = Page(text)
    assert not page.open and "script" not in page.tags
    headings = page.texts["h2"]
    assert headings[:4] == ["What holds", "Results", "Reward and true utility", "Budget"]
    assert {"Tuning", "Paths"} <= set(headings)
    said = " ".join(text_of(text).split())
    assert "What training gives: ✓ 1 supported ✗ 0 contradicted ? 1 undecided Theory: ✓ 0" in said
    svgs = re.findall(r"<svg[^>]*>", text)
    assert svgs and all('role="img" aria-label="' in svg for svg in svgs)
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and {v[1:] for v in page.loads if v.startswith("#")} <= set(ids)
    # base and the first eight methods in the grids, everyone in the contact sheets below them
    assert page.tags.count("img") == (5 + 5) * 9 + (5 + 5) * 13
    names = {p.name for p in (laboratory / "figures").iterdir()}
    assert {"forest-sd3.svg", "budget-sd3-pairs-methods.svg", "budget-sd3-passes-variants.svg"} <= names
    assert {"hacking-sd3-hps.svg", "growth-sd3-methods.svg", "error-sd3.svg", "regimes.svg"} <= names


def text_of(text):
    return re.sub(r"<[^>]*>", " ", text)


def test_nasty_prompts_survive_as_text(build, nasty):
    shown = Page(build()).texts["figcaption"]
    assert shown[0] == nasty[0] and shown[1] == nasty[1] and shown[3].strip() == nasty[3].strip()
    assert shown[2] == "line one\nline two␇␛[31m �right to left� 🙂"


def test_same_bytes_twice_and_no_stale_figures(build, results):
    first = build()
    figures = {p.name: p.read_bytes() for p in (results / "figures").glob("*.*g")}
    assert verify_manifest(results / "figures" / "manifest.json", "figures") == []
    assert verify_manifest(results / "report.manifest.json", "report") == []
    (results / "figures" / "metrics-old-run.svg").write_text("<svg/>")
    assert build("again.html") == first
    assert {p.name: p.read_bytes() for p in (results / "figures").glob("*.*g")} == figures
    assert {"grid-sd3-freeform.png", "funnel.svg", "beta-sd3-pnapo.svg"} <= figures.keys()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda r: (r / "tables" / "comparisons.csv").unlink(), r"comparisons\.csv: missing"),
        (
            lambda r: (r / "runs/sd3/pnapo-s1/train_log.jsonl").write_text('{"step": 1}\n{"st'),
            r"pnapo-s1.*16 bytes instead",
        ),
        (lambda r: write_csv(r / "tables" / "main.csv", pd.DataFrame({"a": [1]})), r"main\.csv: \d+ bytes instead of"),
        (
            lambda r: (r / "images/sd3/base/geneval/images.parquet").write_bytes(b"PAR1"),
            r"base/geneval.*4 bytes instead",
        ),
        (lambda r: (r / "testsets/freeform.parquet").unlink(), r"freeform\.parquet: no such file"),
    ],
)
def test_damage_is_named_and_nothing_is_written(build, results, damage, message):
    damage(results)
    with pytest.raises(UserError, match=message):
        build()
    assert not (results / "report.html").exists()


def test_tables_of_another_configuration_are_refused(build, results):
    config = json.loads((results / "config.json").read_text())
    config["runs"]["capo"] = config["runs"].pop("sft")
    (results / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match=r"main\.csv: run 'capo'"):
        build()
