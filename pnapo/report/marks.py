"""Pages with a generated part: the text between `<!-- NAME: … -->` and `<!-- end of NAME -->`."""

from pathlib import Path

from pnapo.artifacts import write_text
from pnapo.errors import UserError


def put(page: Path | str, name: str, text: str) -> None:
    """Put the text between the marks `name` of a page, all else as it was. Raises UserError if they are missing."""
    page = Path(page)
    try:
        whole = page.read_text("utf-8")
    except FileNotFoundError:
        raise UserError(f"{page}: no such file") from None
    start, end = f"<!-- {name}: ", f"<!-- end of {name} -->"
    if start not in whole or end not in whole:
        raise UserError(f"{page}: the marks {start!r} and {end!r} are missing")
    head, rest = whole.split(start, 1)
    mark, _ = rest.split("\n", 1)
    tail = rest.split(end, 1)[1]
    write_text(page, f"{head}{start}{mark}\n{text.strip()}\n{end}{tail}")
