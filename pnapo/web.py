"""Bring one file from the web: interrupted, it goes on where it was; under its name it is whole and what was asked for.

Bytes gather in FILE.part, and FILE.part.json says which version of the file they are of (its ETag or date): the server is
asked for the rest of that version only, and begins anew if it has another.
"""

import fcntl
import http.client
import json
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pnapo.artifacts import sha256
from pnapo.errors import UserError
from pnapo.refusals import raise_refused

CHUNK = 1 << 20
SILENCE = 60  # seconds without a byte after which a server counts as gone
LATER = "run again where there is a network, it goes on where it was"


def download(url: str, path: Path, digits: str = "", log: Callable[[str], None] = print) -> None:
    """Bring `url` to `path`, where no file is yet, through a `.part` file beside it; broken connections are taken up again.

    With `digits`, its SHA-256 must begin with these. Raises UserError if the server cannot be reached, or does not give the
    file, or gives another one, which is not kept.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _download(url, path, digits, log)
    except OSError as error:
        raise_refused(error, path)
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from None


def _download(url: str, path: Path, digits: str, log: Callable[[str], None]) -> None:
    part, note = (path.with_name(f"{path.name}.{end}") for end in ("part", "part.json"))
    with open(part, "ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(f"{path}: another process is fetching it; wait for that one") from None
        if not (part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())):  # whole by now, and renamed
            raise UserError(f"{path}: another process has just fetched it; run again")
        while True:
            before = file.tell()
            total = _more(url, file, note, bool(digits), log)
            if total is None or file.tell() == total:
                break
            if file.tell() <= before:
                raise UserError(f"{url}: ended after {file.tell()} of {total} bytes; {LATER}")
            log(f"{path.name}: cut off at {file.tell()} of {total} bytes, going on")
        file.flush()
        os.fsync(file.fileno())
        found = sha256(part)
        if not found.startswith(digits):
            part.unlink()
            raise UserError(f"{url}: the file there has SHA-256 {found}, but {digits} is asked for; it was not kept")
        os.replace(part, path)
        note.unlink(missing_ok=True)


def length(url: str) -> int | None:
    """The bytes that a file on the web has, if the server says so. Raises UserError if it cannot be reached."""
    with _asked(url, {}, "HEAD") as response:
        return _number(response.headers.get("Content-Length"))


def _more(url: str, file: BinaryIO, note: Path, sure: bool, log: Callable[[str], None]) -> int | None:
    """Append what the server still has to give, until it ends or breaks off; returns the whole file's length, if it is told.

    `sure`: the content will be compared with a hash, so that bytes of an unknown version may be gone on from.
    """
    version = _version(note, url)
    file.flush()
    if not version and not sure:
        file.truncate(0)
    have = os.fstat(file.fileno()).st_size
    file.seek(have)
    headers = {"Range": f"bytes={have}-", **({"If-Range": version} if version else {})} if have else {}
    with _asked(url, headers) as response:
        part = response.headers.get("Content-Range") or ""
        if response.status == 416 and _number(part.rpartition("/")[2]) == have:
            return have  # nothing is left: only the hash was not looked at yet
        if response.status != 200 and _start(part) != have:
            raise UserError(f"{url}: the server does not give the part that was asked for; delete {file.name}")
        if response.status == 200:
            have = 0
            file.truncate(0)
            file.seek(0)
        rest = _number(response.headers.get("Content-Length"))
        total = None if rest is None else have + rest
        if total is None and not sure:
            raise UserError(
                f"{url}: the server does not say how long the file is, so nobody would miss its end; set `sha256`"
            )
        tag = response.headers.get("ETag") or ""
        version = tag if tag and not tag.startswith("W/") else response.headers.get("Last-Modified") or ""
        note.write_text(json.dumps({"url": url, "version": version}), "utf-8")
        whole = f"{total / 1e9:.3g} GB" if total else "unknown size"
        log(f"{url}: {whole}{f', from byte {have} on' if have else ''}")
        for block in _blocks(response):
            file.write(block)
            have += len(block)
            if total and have * 10 // total > (have - len(block)) * 10 // total:
                log(f"{Path(file.name).stem}: {have / total:.0%}")
    return total


def _blocks(response) -> Iterator[bytes]:
    """The content until it ends, or the connection does: who reads it compares the length."""
    try:
        while block := response.read(CHUNK):
            yield block
    except (http.client.HTTPException, OSError):
        return


def _asked(url: str, headers: dict[str, str], method: str = "GET"):
    """The server's answer. Raises UserError if there is none, or an error; "range not satisfiable" is an answer."""
    headers = {"User-Agent": "pnapo", "Accept-Encoding": "identity", **headers}
    if not re.match(r"https?://[^/]", url):  # urlopen would also open files of this machine
        raise UserError(f"{url}: no address on the web (http:// or https://)")
    try:
        request = Request(url, headers=headers, method=method)
        return urlopen(request, timeout=SILENCE)
    except HTTPError as error:
        if error.code == 416:
            return error
        hint = "; look up its new address and set `url`" if error.code in (404, 410) else "; try again later"
        raise UserError(f"{url}: {error.code} {error.reason}{hint}") from None
    except (URLError, http.client.HTTPException, OSError, ValueError) as error:
        raise UserError(f"{url}: {getattr(error, 'reason', None) or error}; {LATER}") from None


def _version(note: Path, url: str) -> str:
    """What the server called the version that a part is of; "" if that is not known."""
    try:
        told = json.loads(note.read_text("utf-8"))
        return told["version"] if told["url"] == url else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _number(text: str | None) -> int | None:
    return int(text) if text and text.isdecimal() else None


def _start(text: str | None) -> int | None:
    """The first byte of `Content-Range: bytes 5-9/10`."""
    found = re.match(r"bytes (\d+)-", text or "")
    return int(found[1]) if found else None
