"""Fetching from a hub: a server of the same protocol on this machine, with small files."""

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
FILES = {
    "config.json": b"{}",
    "vae/weights.safetensors": bytes(range(256)) * 40,
    "README.md": b"card",
    "whole.ckpt": b"x" * 99,
}
ROOT = Path(__file__).resolve().parents[1]


class Hub(BaseHTTPRequestHandler):
    """One model repository, `owner/model`, and one that is gated."""

    protocol_version = "HTTP/1.1"
    seen: list[str]

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
            body = {"id": "owner/model", "sha": COMMIT, "siblings": siblings, "private": False, "tags": []}
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
        else:
            self.answer(404, b"{}", X_Error_Code="RevisionNotFound" if "/owner/model/" in path else "RepoNotFound")

    do_HEAD = do_GET


@pytest.fixture
def hub():
    """The address of a running hub, and the requests it has seen."""
    handler = type("Handler", (Hub,), {"seen": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}", handler.seen
    server.shutdown()
    thread.join()


@pytest.fixture
def fetch(hub, tmp_path):
    """fetch(**settings) runs the script against the hub; returns what it said and its status."""

    def run(hub: str = hub[0], **settings: object) -> tuple[str, int]:
        settings = {"repo": "owner/model", "path": str(tmp_path / "model"), **settings}
        environment = {
            **os.environ,
            "PYTHONPATH": ".",
            "HF_ENDPOINT": hub,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(tmp_path),
        }
        command = [sys.executable, "workflow_scripts/fetch.py", "--settings", json.dumps(settings)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
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


def test_no_network_is_one_clear_line(fetch):
    said, status = fetch(hub="http://127.0.0.1:9")
    assert status == 1 and "Traceback" not in said
    assert said.strip().splitlines()[-1].endswith("run again where there is a network, it goes on where it was"), said


def test_only_fetching_may_miss_files_and_what_misses_them_says_how_they_come(tmp_path):
    overlay = tmp_path / "overlay.yaml"
    overlay.write_text(
        "downloads: {base: {repo: owner/model, path: cache/nowhere}}\nmodels: {sd3: {path: cache/nowhere/base}}\n"
    )
    said = {}
    for target in ("pairs", "fetch", "fetch_base"):
        command = [sys.executable, "-m", "snakemake", "-n", "--configfile", str(overlay), "--", target]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        said[target] = done.stdout + done.stderr
    assert "models.sd3.path: cache/nowhere/base: no such folder; `snakemake fetch` brings it" in said["pairs"]
    assert "fetch_base" in said["fetch"] and "error:" not in said["fetch"] + said["fetch_base"]
