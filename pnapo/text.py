"""Text that comes from elsewhere: what is done to it before it is printed, or written where a program would run it.

Prompts, names, paths and what other libraries say may hold line breaks, terminal escapes, secrets or a spreadsheet's formulas.
"""

import hashlib
import os
import re
from collections.abc import Callable, Iterator

HIDDEN = "***"
LONGEST = 4000  # characters of a message

_SECRET = re.compile(r"(?:^|_)(?:TOKEN|KEY|SECRET|PASSWORD|PASSWD|PASSPHRASE|CREDENTIALS?)$", re.IGNORECASE)
_PATTERNS = (
    re.compile(r"(?<=://)[^\s/@'\"]+@"),  # user:password@host
    re.compile(
        r"(?<=[?&;])((?:[\w-]*[_-])?(?:token|key|secret|password|passwd|sig|signature|credential|auth))=[^\s&;'\"#]+",
        re.IGNORECASE,
    ),
    re.compile(r"\bhf_[A-Za-z0-9]{16,}"),  # of the model hub
    re.compile(r"(?<=\bBearer )[\w.~+/=-]{8,}", re.IGNORECASE),
)


def _secrets() -> Iterator[str]:
    """What the environment holds under names such as HF_TOKEN, WANDB_API_KEY; paths and short words are none."""
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= 8 and not value.startswith(("/", "~")):
            yield value


def redacted(text: str) -> str:
    """The same without secrets: tokens of the environment, passwords and tokens in addresses."""
    for value in _secrets():
        text = text.replace(value, HIDDEN)
    user, query, *others = _PATTERNS
    text = query.sub(rf"\1={HIDDEN}", user.sub(f"{HIDDEN}@", text))
    for pattern in others:
        text = pattern.sub(HIDDEN, text)
    return text


def one_line(text: str) -> str:
    """The same on one line: what cannot be printed (line breaks, terminal escapes, half characters) as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def presentable(message: object) -> str:
    """A message as it is printed: one line of bearable length, without secrets."""
    text = one_line(redacted(str(message)))
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


# What a spreadsheet takes for a formula: a cell that begins so. Also behind what it may take for the end of a cell.
_FORMULA = re.compile(r"""(^)()('*)(?=[\t\r\n])|(^|[;\t\r\n])([ "]*)('*)(?=[=+\-@＝＋－＠])""")
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")


def as_cell(text: str) -> str:
    """A text as a cell that no spreadsheet runs: with an apostrophe before what would begin a formula. Numbers stay."""
    if _NUMBER.fullmatch(text):
        return text
    return _FORMULA.sub(lambda found: _guarded(found, lambda marks: f"'{marks}"), text)


def from_cell(text: str) -> str:
    """The text of such a cell: `from_cell(as_cell(text)) == text`."""
    return _FORMULA.sub(lambda found: _guarded(found, lambda marks: marks[1:]), text)


def _guarded(found: re.Match, change: Callable[[str], str]) -> str:
    before, blanks, marks = (part for part in found.groups() if part is not None)
    return before + blanks + change(marks)


def printable(text: str) -> str:
    """One line without control characters: white space becomes a blank, other controls their visible pictures."""
    text = re.sub(r"\s+", " ", text)
    text = re.sub(r"[\x00-\x1f]", lambda m: chr(0x2400 + ord(m[0])), text)
    return re.sub(
        r"[\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\udfff\ufeff\U000e0000-\U000e0fff]", "\ufffd", text
    )


def escape_markdown(text: str) -> str:
    """Text that a Markdown table shows as it is. Underscores inside words need no escape, so names stay readable."""
    text = re.sub(r"([\\`*|~\[\]<>&$])", r"\\\1", printable(text))
    text = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", text)
    return text.replace("://", r"\://")  # no address becomes a link


def file_stem(text: str) -> str:
    """A short name of a file for a text: itself if it is one, else what is left of it and a part of its hash."""
    kept = re.sub(r"[^\w-]+", "_", text, flags=re.ASCII)[:60]
    return (
        kept
        if text and kept == text
        else f"{kept}-{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()[:8]}"
    )


def code_span(text: str) -> str:
    """A text as inline code of Markdown, whatever backticks and line breaks stand in it."""
    text = one_line(str(text))
    fence = "`" * (1 + max(map(len, re.findall("`+", text)), default=0))
    return (
        f"{fence} {text} {fence}" if text.startswith("`") or text.endswith("`") or not text else f"{fence}{text}{fence}"
    )
