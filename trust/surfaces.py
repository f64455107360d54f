"""Outputs read back as those programs would that might run what is in them: each function yields what is wrong."""

import csv
import hashlib
import io
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import yaml

# What pages are made of; nothing that runs, loads, sends or redirects.
_ELEMENTS = (
    "html head meta title link style body header nav main section footer div span p a b i em strong small ul "
    "ol li h1 h2 h3 h4 table thead tbody tr th td figure figcaption img pre code details summary label input "
    "form fieldset legend button kbd noscript textarea svg g path defs use rect text tspan clippath circle "
    "line polyline polygon desc image script"
)
ELEMENTS = set(_ELEMENTS.split())
SCRIPTS = {"application/json"}


class _Page(HTMLParser):
    """Every element with its attributes, and the text of scripts."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str, str]] = []
        self.comments: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs).get("type") or "", ""))

    handle_startendtag = handle_starttag

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "script":
            kind, text = self.scripts.pop()
            self.scripts.append((kind, text + data))

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def html(text: str, mark: str, script: str = "") -> Iterator[str]:
    """What a page has that no template put there. `script` is the one that may run."""
    page = _Page()
    page.feed(text)
    page.close()
    if len(page.elements) < 20:
        yield f"only {len(page.elements)} elements: not a page"
    for tag, attributes in page.elements:
        if tag not in ELEMENTS:
            yield f"an element {tag}"
        for name, value in attributes.items():
            if name.startswith("on") or mark in name or not re.fullmatch(r"[\w:.-]+", name):
                yield f"an attribute {name} of {tag}"
            address = name in ("href", "src", "xlink:href", "action", "srcdoc", "formaction", "data")
            if address and not re.match(r"#|data:image/(png|jpeg);base64,|data:,$", value or ""):
                yield f"an address {value!r}"
            if name == "style" and re.search(r"url\(|expression|@import", value or ""):
                yield f"a style {value!r}"
        if tag == "meta" and "http-equiv" in attributes and attributes["http-equiv"] != "Content-Security-Policy":
            yield f"a meta {attributes}"
    for kind, source in page.scripts:
        if kind in SCRIPTS:
            json.loads(source)
        elif (
            not script
            or hashlib.sha256(source.strip().encode()).digest() != hashlib.sha256(script.strip().encode()).digest()
        ):
            yield f"a script {source[:40]!r}"
    yield from (f"a comment {comment[:40]!r}" for comment in page.comments if mark in comment)


def svg(text: str, mark: str) -> Iterator[str]:
    """The same of a figure, less what matplotlib says of it."""
    said = re.sub(r"<metadata>.*?</metadata>", "", text, count=1, flags=re.S)
    yield from html(f"{said}{'<p>' * 20}", mark)


def data_of(text: str) -> list:
    """The JSON that a page holds."""
    page = _Page()
    page.feed(text)
    return [json.loads(source) for kind, source in page.scripts if kind in SCRIPTS]


_COMMANDS = (
    "begin end caption label centering small par smallskip medskip textit textbf resizebox ifdim width "
    "linewidth else fi toprule midrule bottomrule textbackslash textasciitilde textasciicircum textless "
    "textgreater textbar textquotedbl pm times geq leq textonehalf dots beta delta"
)
COMMANDS = set(_COMMANDS.split())


def latex(text: str) -> Iterator[str]:
    """What a LaTeX table has that its writer does not write: commands, open groups, wrong environments."""
    first, _, rest = text.partition("\n")
    if not first.startswith("% needs "):
        yield "no first line"
    tokens = re.findall(r"\\[A-Za-z]+|\\.|[{}%$&#~^]|.", rest, flags=re.S)
    depth, math, environments = 0, False, []
    for number, token in enumerate(tokens):
        if re.fullmatch(r"\\[A-Za-z]+", token) and token[1:] not in COMMANDS:
            yield f"a command {token}"
        depth += {"{": 1, "}": -1}.get(token, 0)
        if depth < 0:
            yield "a group is closed that was not opened"
            return
        math ^= token == "$"
        if token == "%" and tokens[number - 1] != "{":  # the writer's own stands behind \resizebox{…}{!}{
            yield "a comment"
        if token in "#~^":
            yield f"a bare {token}"
        if token in (r"\begin", r"\end"):
            name = "".join(tokens[number + 2 : number + 30]).partition("}")[0]
            if token == r"\begin":
                environments.append(name)
            elif not environments or environments.pop() != name:
                yield f"an environment {name} ends that is not open"
    if depth or math or environments:
        yield "something is left open"
    for row in re.findall(r"(?:\\\\|\\(?:top|mid)rule)\s*([\[*])", rest.replace("\\\\[2pt]", "")):
        yield f"a row begins with {row}"


def sheet(text: str) -> Iterator[str]:
    """Cells that a spreadsheet would run, whatever it takes for the end of a cell; rows of another length."""
    rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    if len({len(row) for row in rows}) != 1:
        yield f"rows of {sorted({len(row) for row in rows})} cells"
    for separator in ",;\t":
        # Strictly, as the table is written; and as others cut it, for whom quotes within a line mean nothing.
        cells = [cell for row in rows for cell in row] if separator == "," else re.split(f"[{separator}\n\r]", text)
        for cell in cells:
            number = re.fullmatch(r"[-+]?(\d+\.?\d*([eE][-+]?\d+)?|inf|nan)", cell.split(",")[0])
            if cell.lstrip(' "')[:1] in tuple("=+-@＝＋－＠") and cell.strip(' "') and not number:
                yield f"a formula {cell[:40]!r} between {separator!r}"
            if separator == "," and cell[:1] in ("\t", "\r", "\n"):
                yield f"a cell that begins with {cell[:1]!r}"


def markdown(text: str, mark: str) -> Iterator[str]:
    """Markup in tables: raw HTML, links, and rows of another width."""
    for line in text.splitlines():
        bare = re.sub(r"\\.", "", line)
        if re.search(r"<|\]\(|!\[|://", bare):
            yield f"markup in {line[:60]!r}"
        if mark in line and line.startswith(("#", "```", "---")):
            yield f"a block {line[:60]!r}"
    tables = [re.sub(r"\\.", "", line).count("|") for line in text.splitlines() if line.startswith("|")]
    if tables and len(set(tables)) > len(re.findall(r"^\| :?-", text, flags=re.M)):
        yield f"rows of {sorted(set(tables))} bars"


def front_matter(text: str) -> dict:
    """The YAML at the head of a card. Raises ValueError or yaml.YAMLError if there is none."""
    start, head, body = text.split("---\n", 2)
    found = yaml.safe_load(head)
    if start or not isinstance(found, dict) or not body.strip():
        raise ValueError("no front matter")
    return found


def log(text: str, mark: str = "") -> Iterator[str]:
    """What a terminal would obey, and lines that a prompt with `mark` wrote; progress bars may return to a line's beginning."""
    for line in text.split("\n"):
        if re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", line):
            yield f"a control character in {line[:60]!a}"
        if mark and re.search(rf"(^|\r)(error: )?{mark}", line):
            yield f"a line of its own {line[:60]!a}"
