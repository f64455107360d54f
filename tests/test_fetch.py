"""Fetching from a hub, and from the web: a server of the same protocol on this machine, with small files."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pnapo.artifacts import read_manifest, verify_manifest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
LATER = "89abcdef0123456789abcdef0123456789abcdef"
FILES = {
    "config.json": b"{}",
    "vae/weights.safetensors": bytes(range(256)) * 40,
    "README.md": b"card",
    "whole.ckpt": b"x" * 99,
}
ROOT = Path(__file__).resolve().parents[1]


def digest(name: str) -> str:
    return hashlib.sha256(FILES[name]).hexdigest()


class Hub(BaseHTTPRequestHandler):
    """One model repository, `owner/model`, and one that is gated. `main` is the commit that the branch stands at."""

    protocol_version = "HTTP/1.1"
    seen: list[str]
    main = COMMIT

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.seen.append(f"{self.command} {path}")
        if "gated" in path:
            self.answer(403, b"{}", X_Error_Code="GatedRepo", X_Error_Message="restricted")
        elif path in (f"/api/models/owner/model/revision/{revision}" for revision in ("main", COMMIT)):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in FILES.items()]
            for sibling in siblings:
                if not sibling["rfilename"].endswith((".json", ".md")):  # as the hub does, of large files alone
                    sibling["lfs"] = {"sha256": digest(sibling["rfilename"]), "size": sibling["size"], "pointerSize": 9}
            commit = COMMIT if path.endswith(COMMIT) else self.main
            body = {"id": "owner/model", "sha": commit, "siblings": siblings, "private": False, "tags": []}
            self.answer(200, json.dumps(body).encode(), Content_Type="application/json")
        elif path.startswith(f"/api/models/owner/model/tree/{COMMIT}"):
            tree = [{"type": "file", "path": name, "size": len(c), "oid": "0" * 40} for name, c in FILES.items()]
            self.answer(200, json.dumps(tree).encode(), Content_Type="application/json")
        elif path.startswith(f"/owner/model/resolve/{COMMIT}/") and path.partition(COMMIT + "/")[2] in FILES:
            content = FILES[path.partition(COMMIT + "/")[2]]
            tag = f'"{hashlib.sha256(content).hexdigest()}"'
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            headers = {"ETag": tag, "X_Repo_Commit": COMMIT, "Accept_Ranges": "bytes"}
            if start:
                headers["Content_Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.answer(206 if start else 200, content[start:], **headers)
        elif path.startswith("/plain/") and path.removeprefix("/plain/") in FILES:
            self.answer(200, FILES[path.removeprefix("/plain/")])
        else:
            self.answer(404, b"{}", X_Error_Code="RevisionNotFound" if "/owner/model/" in path else "RepoNotFound")

    do_HEAD = do_GET


@pytest.fixture
def hub():
    """The address of a running hub, the requests it has seen, and its class."""
    handler = type("Handler", (Hub,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.seen, handler
    server.shutdown()
    thread.join()


@pytest.fixture
def fetch(hub, tmp_path):
    """fetch(**settings) runs the script against the hub; returns what it said and its status."""

    def run(hub: str = hub[0], **settings: object) -> tuple[str, int]:
        settings = {
            **({} if "url" in settings else {"repo": "owner/model"}),
            "path": str(tmp_path / "model"),
            **settings,
        }
        environment = {
            **os.environ,
            "PYTHONPATH": ".",
            "HF_ENDPOINT": hub,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path),
        }
        command = [sys.executable, "workflow_scripts/fetch.py", "--settings", json.dumps(settings)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
        return done.stdout + done.stderr, done.returncode

    return run


def test_the_files_that_were_asked_for_are_brought_once_and_listed_with_their_commit(fetch, hub, tmp_path):
    said, status = fetch(files=["*.json", "*/*.safetensors"])
    assert status == 0, said
    folder = tmp_path / "model"
    manifest = read_manifest(folder / "fetched.json", "download")
    assert (
        set(manifest["files"]) == {"config.json", "vae/weights.safetensors"}
        and verify_manifest(folder / "fetched.json") == []
    )
    assert manifest["settings"]["commit"] == COMMIT and manifest["settings"]["repo"] == "owner/model"
    assert all((folder / name).read_bytes() == FILES[name] for name in manifest["files"])
    assert not (folder / "whole.ckpt").exists()
    hub[1].clear()
    said, status = fetch(files=["*.json", "*/*.safetensors"])
    assert status == 0 and not [line for line in hub[1] if line.startswith("GET /owner/model/resolve/")], said


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"revision": "v9"}, "owner/model: has no revision v9"),
        ({"repo": "owner/other"}, "owner/other: there is no such model"),
        ({"repo": "owner/gated"}, "owner/gated: needs consent to its licence"),
        ({"files": ["*.bin"]}, "owner/model: has no file like *.bin at revision main"),
    ],
)
def test_what_cannot_be_had_is_one_clear_line(fetch, settings, reason, tmp_path):
    said, status = fetch(**settings)
    assert status == 1 and said.strip().splitlines()[-1].startswith(f"error: {reason}"), said
    assert "Traceback" not in said and not (tmp_path / "model" / "fetched.json").exists()


def error_of(told: tuple[str, int]) -> str:
    said, status = told
    assert status == 1 and "Traceback" not in said, said
    return said.strip().splitlines()[-1]


def test_no_network_is_one_clear_line(fetch):
    line = error_of(fetch(hub="http://127.0.0.1:9"))
    assert line.endswith("run again where there is a network, it goes on where it was")


def test_a_pinned_commit_and_its_hashes_are_recorded(fetch, tmp_path):
    pinned = {"revision": COMMIT, "files": ["whole.ckpt", "*.json"], "sha256": {"whole.ckpt": digest("whole.ckpt")[:8]}}
    said, status = fetch(**pinned)
    assert status == 0, said
    manifest = read_manifest(tmp_path / "model" / "fetched.json", "download")
    assert manifest["files"]["whole.ckpt"] == {"sha256": digest("whole.ckpt"), "bytes": 99}
    assert manifest["settings"]["commit"] == manifest["settings"]["revision"] == COMMIT


@pytest.mark.parametrize(
    ("hashes", "reason"),
    [
        (
            {"whole.ckpt": "01234567"},
            f"owner/model: whole.ckpt has SHA-256 {digest('whole.ckpt')} at main, but 01234567",
        ),
        ({"other.ckpt": "01234567"}, "owner/model: sha256 names other.ckpt, which is not among the files to fetch"),
        ({"config.json": "01234567"}, f"/config.json: has SHA-256 {digest('config.json')}, but 01234567 is asked for"),
    ],
    ids=["said by the hub", "not there", "found in the file"],
)
def test_other_content_than_was_asked_for_is_refused(fetch, hub, hashes, reason, tmp_path):
    assert reason in error_of(fetch(files=["whole.ckpt", "config.json"], sha256=hashes))
    assert not (tmp_path / "model" / "fetched.json").exists()
    brought = [line for line in hub[1] if line.startswith("GET /owner/model/resolve/")]
    assert bool(brought) == ("config.json" in hashes)  # what the hub says itself is compared before anything is brought


def test_a_branch_that_moved_is_not_taken_for_what_was_fetched(fetch, hub, tmp_path):
    assert fetch(files=["config.json"])[1] == 0
    hub[2].main = LATER
    line = error_of(fetch(files=["config.json", "README.md"]))
    assert f"main was {COMMIT} when it was fetched and is {LATER} now; set `revision: {COMMIT}`" in line
    assert read_manifest(tmp_path / "model" / "fetched.json")["settings"]["commit"] == COMMIT
    assert fetch(files=["config.json", "README.md"], revision=COMMIT)[1] == 0  # another revision is another wish


@pytest.mark.parametrize("later", [0, 60])  # seconds; the hub's library brings a file again that was changed since
def test_a_damaged_file_in_the_cache_is_named(fetch, tmp_path, later):
    assert fetch(files=["whole.ckpt"])[1] == 0
    file = tmp_path / "model" / "whole.ckpt"
    when = file.stat().st_mtime + later
    file.write_bytes(b"y" * 99)
    os.utime(file, (when, when))
    assert error_of(fetch(files=["whole.ckpt"])).startswith(f"error: {tmp_path}/model/whole.ckpt: has SHA-256 ")


def test_a_file_from_the_web_is_recorded_and_stays_what_it_was(fetch, hub, tmp_path, monkeypatch):
    url, path = f"{hub[0]}/plain/whole.ckpt", tmp_path / "here" / "named.ckpt"
    said, status = fetch(url=url, path=str(path))
    assert status == 0 and path.read_bytes() == FILES["whole.ckpt"], said
    record = tmp_path / "here" / "named.ckpt.fetched.json"
    manifest = read_manifest(record, "download")
    assert manifest["settings"] == {"url": url} and manifest["files"]["named.ckpt"]["sha256"] == digest("whole.ckpt")
    hub[1].clear()
    assert fetch(url=url, path=str(path), sha256=digest("whole.ckpt"))[1] == 0 and hub[1] == []  # not asked for again
    assert "but 01234567 is asked for; delete it" in error_of(fetch(url=url, path=str(path), sha256="01234567"))
    monkeypatch.setitem(FILES, "whole.ckpt", b"z" * 99)  # the same address, other content
    path.unlink()
    assert "the file there has SHA-256 " in error_of(fetch(url=url, path=str(path)))
    assert not path.exists()
    record.unlink()  # whoever wants the new one says so
    assert fetch(url=url, path=str(path))[1] == 0 and path.read_bytes() == b"z" * 99


def test_a_file_put_there_by_hand_is_taken_if_it_is_as_long(fetch, hub, tmp_path):
    path = tmp_path / "whole.ckpt"
    path.write_bytes(FILES["whole.ckpt"])
    assert fetch(url=f"{hub[0]}/plain/whole.ckpt", path=str(path))[1] == 0
    (tmp_path / "whole.ckpt.fetched.json").unlink()
    path.write_bytes(b"cut")
    assert "has 3 bytes, but 99 at" in error_of(fetch(url=f"{hub[0]}/plain/whole.ckpt", path=str(path)))
