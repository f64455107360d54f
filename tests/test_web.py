"""A file from the web: a server on this machine that breaks off, forgets, lies and is away."""

import fcntl
import hashlib
import threading
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pnapo.errors import UserError
from pnapo.web import download, length

CONTENT = bytes(range(256)) * 8000  # 2 MB, two blocks
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class Server(BaseHTTPRequestHandler):
    """One file, /file. `cuts` are the bytes after which the next answers break off, `ranges` whether it knows
    them, `shift` by how much its answer about them is wrong."""

    protocol_version = "HTTP/1.1"
    content, version, cuts, ranges, sized, shift, seen = CONTENT, '"one"', [], True, True, 0, []

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        state, asked = type(self), self.headers.get("Range")
        state.seen.append((asked, self.headers.get("If-Range")))
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/file")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if self.path != "/file":
            self.send_error(404)
            return
        whole, start, stop = state.content, 0, state.cuts.pop(0) if state.cuts else None
        if asked and state.ranges and self.headers.get("If-Range") in (None, state.version):
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        if start >= len(whole):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(whole)}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start + state.shift}-{len(whole) - 1}/{len(whole)}")
        if state.sized:
            self.send_header("Content-Length", str(len(whole) - start))
        else:
            self.close_connection = True
        if state.version:
            self.send_header("ETag", state.version)
        self.send_header("Last-Modified", formatdate(0, usegmt=True) if not state.version else "")
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(whole[start:][:stop])
        if stop is not None:
            self.close_connection = True

    do_HEAD = do_GET


@pytest.fixture
def server():
    """The class of a running server, with its address as `url`."""
    state = type("State", (Server,), {"cuts": [], "seen": []})
    running = ThreadingHTTPServer(("127.0.0.1", 0), state)
    thread = threading.Thread(target=running.serve_forever, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{running.server_address[1]}/file"
    yield state
    running.shutdown()
    running.server_close()
    thread.join()


def quiet(line: str) -> None:
    pass


def left(folder) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_broken_connection_is_taken_up_where_it_was(server, tmp_path):
    server.cuts = [(1 << 20) + 100, 100_001]  # the first leaves less than a buffer behind
    path = tmp_path / "deep" / "weights.pt"
    download(server.url, path, DIGEST, quiet)
    assert path.read_bytes() == CONTENT and left(path.parent) == ["weights.pt"]
    assert server.seen == [(None, None), ("bytes=1048676-", '"one"'), ("bytes=1148677-", '"one"')]


def test_a_later_run_goes_on_where_an_earlier_one_was(server, tmp_path):
    path = tmp_path / "weights.pt"
    server.cuts = [700_000, 0]  # and then nothing more, so this one gives up
    with pytest.raises(UserError, match=r"ended after 700000 of 2048000 bytes; run again where there is a network"):
        download(server.url, path, log=quiet)
    assert left(tmp_path) == ["weights.pt.part", "weights.pt.part.json"]
    server.seen.clear()
    download(server.url, path, log=quiet)
    assert server.seen == [("bytes=700000-", '"one"')] and path.read_bytes() == CONTENT
    assert left(tmp_path) == ["weights.pt"]


@pytest.mark.parametrize(
    ("version", "other"), [('"one"', '"two"'), ("", '"two"'), ('W/"like"', 'W/"like"')], ids=["tag", "date", "weak tag"]
)
def test_another_version_is_brought_from_its_beginning(server, tmp_path, version, other):
    server.version, server.cuts = version, [700_000, 0]
    path = tmp_path / "weights.pt"
    with pytest.raises(UserError, match="ended after"):
        download(server.url, path, log=quiet)
    server.content, server.version = CONTENT[::-1], other  # a weak tag does not tell one byte from another
    download(server.url, path, log=quiet)
    assert path.read_bytes() == CONTENT[::-1]


def test_a_server_without_ranges_begins_anew(server, tmp_path):
    server.ranges, server.cuts = False, [1_500_000]
    download(server.url, tmp_path / "weights.pt", DIGEST, quiet)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT and len(server.seen) == 2


def test_a_part_that_is_whole_is_only_looked_at(server, tmp_path):
    (tmp_path / "weights.pt.part").write_bytes(CONTENT)  # as if killed before the renaming; what is known is the hash
    download(server.url, tmp_path / "weights.pt", DIGEST[:8], quiet)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT and server.seen == [("bytes=2048000-", None)]


def test_bytes_of_nobody_knows_what_are_not_gone_on_from(server, tmp_path):
    (tmp_path / "weights.pt.part").write_bytes(b"x" * 1000)
    download(server.url, tmp_path / "weights.pt", log=quiet)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT
    (tmp_path / "other.pt.part").write_bytes(b"x" * 1000)  # with a hash they are, and it tells
    with pytest.raises(UserError, match=r"has SHA-256 [0-9a-f]{64}, but .* is asked for; it was not kept"):
        download(server.url, tmp_path / "other.pt", DIGEST, quiet)
    download(server.url, tmp_path / "other.pt", DIGEST, quiet)
    assert left(tmp_path) == ["other.pt", "weights.pt"]


def test_a_wrong_hash_leaves_nothing(server, tmp_path):
    with pytest.raises(
        UserError, match=rf"{server.url}: the file there has SHA-256 {DIGEST}, but 01234567 is asked for"
    ):
        download(server.url, tmp_path / "weights.pt", "01234567", quiet)
    assert not (tmp_path / "weights.pt").exists() and not (tmp_path / "weights.pt.part").exists()


def test_without_a_length_only_a_hash_tells_that_a_file_is_whole(server, tmp_path):
    server.sized, server.cuts = False, [1_000_000, 1_000_000]
    with pytest.raises(
        UserError, match=r"does not say how long the file is, so nobody would miss its end; set `sha256`"
    ):
        download(server.url, tmp_path / "weights.pt", log=quiet)
    with pytest.raises(UserError, match="it was not kept"):
        download(server.url, tmp_path / "weights.pt", DIGEST, quiet)
    download(server.url, tmp_path / "weights.pt", DIGEST, quiet)
    assert (tmp_path / "weights.pt").read_bytes() == CONTENT


def test_redirections_are_followed_with_the_range(server, tmp_path):
    server.cuts = [1_000_000]
    download(server.url.replace("/file", "/moved"), tmp_path / "weights.pt", DIGEST, quiet)
    assert [asked for asked, _ in server.seen] == [None, None, "bytes=1000000-", "bytes=1000000-"]
    assert length(server.url) == len(CONTENT)


def test_what_cannot_be_had_is_one_line(server, tmp_path):
    gone = server.url.replace("/file", "/gone")
    with pytest.raises(UserError, match=rf"^{gone}: 404 Not Found; look up its new address and set `url`$"):
        download(gone, tmp_path / "weights.pt", log=quiet)
    with pytest.raises(
        UserError, match=r"^http://127\.0\.0\.1:9/file: .*; run again where there is a network, it goes on"
    ):
        download("http://127.0.0.1:9/file", tmp_path / "weights.pt", log=quiet)
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"file/weights\.pt: cannot be written"):
        download(server.url, tmp_path / "file" / "weights.pt", log=quiet)


def test_two_at_once_do_not_write_the_same_file(server, tmp_path):
    with open(tmp_path / "weights.pt.part", "ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is fetching it"):
            download(server.url, tmp_path / "weights.pt", log=quiet)
    download(server.url, tmp_path / "weights.pt", log=quiet)


def test_who_waited_for_the_lock_of_a_file_that_is_whole_by_now_leaves_it(server, tmp_path, monkeypatch):
    """The other process renames between our opening of the part and our lock."""
    path, flock = tmp_path / "weights.pt", fcntl.flock

    def late(file, kind):
        path.with_name("weights.pt.part").rename(path)
        flock(file, kind)

    path.with_name("weights.pt.part").write_bytes(CONTENT)
    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(UserError, match="another process has just fetched it; run again"):
        download(server.url, path, log=quiet)
    assert path.read_bytes() == CONTENT and not server.seen


def test_the_part_that_was_asked_for_or_none(server, tmp_path):
    server.shift = 5
    (tmp_path / "weights.pt.part").write_bytes(CONTENT[:1000])
    with pytest.raises(UserError, match=r"does not give the part that was asked for; delete .*weights\.pt\.part$"):
        download(server.url, tmp_path / "weights.pt", DIGEST, quiet)
    assert (tmp_path / "weights.pt.part").read_bytes() == CONTENT[:1000]


@pytest.mark.parametrize(
    "url", ["weights.pt", "http://", "http://a b/", "http://[::1/", "http://x:y/", "file:///etc/hosts", "ftp://a/"]
)
def test_odd_addresses_are_one_line(url, tmp_path):
    for ask in (length, lambda url: download(url, tmp_path / "weights.pt", log=quiet)):
        with pytest.raises(UserError) as raised:
            ask(url)
        assert str(raised.value).startswith(f"{url}: ") and "\n" not in str(raised.value)
