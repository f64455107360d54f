"""Bring what the configuration lists under `downloads` into the cache: repositories of the model hub, and single files.

The one place that uses a network; everything else reads local files. What was brought is recorded with its commit, sizes and
hashes, and a later fetch of the same must bring the same.
"""

from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from pnapo.artifacts import read_manifest, sha256, write_manifest
from pnapo.artifacts.manifest import is_inside
from pnapo.config.schema import Download
from pnapo.errors import UserError
from pnapo.needs import record_of
from pnapo.web import LATER, download, length


def fetch(wanted: Download, log: Callable[[str], None] = print) -> Path:
    """Bring the files of `wanted` to their place, and return the record of them (a manifest).

    Files that are there whole are not brought again, and one that was interrupted goes on where it was. Raises UserError if
    they cannot be had, or are not those that hashes or an earlier record ask for.
    """
    return _from_web(wanted, log) if wanted.url else _from_hub(wanted, log)


def _earlier(wanted: Download) -> dict[str, Any] | None:
    """The record of an earlier fetch of the same repository and revision, or address."""
    record = Path(record_of(wanted))
    manifest = read_manifest(record, "download") if record.is_file() else None
    asked = ("url",) if wanted.url else ("repo", "kind", "revision")
    same = manifest and all(manifest["settings"].get(name) == getattr(wanted, name) for name in asked)
    return manifest if same else None


def _from_web(wanted: Download, log: Callable[[str], None]) -> Path:
    path, earlier = Path(wanted.path), _earlier(wanted)
    digits = wanted.sha256 or (earlier["files"][path.name]["sha256"] if earlier else "")
    if path.is_file():
        if digits and not (found := sha256(path)).startswith(digits):
            raise UserError(f"{path}: has SHA-256 {found}, but {digits} is asked for; delete it and run again")
        if not digits and (whole := length(wanted.url)) not in (None, path.stat().st_size):
            raise UserError(
                f"{path}: has {path.stat().st_size} bytes, but {whole} at {wanted.url}; delete it and run again"
            )
        log(f"{path}: is there")
    else:
        download(wanted.url, path, digits, log)
    return write_manifest(record_of(wanted), "download", {"url": wanted.url}, [path.name])


def _from_hub(wanted: Download, log: Callable[[str], None]) -> Path:
    """A repository, or files of one. HF_TOKEN, or a login, opens what needs one."""
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    constants.HF_HUB_OFFLINE = False  # all other jobs are offline
    folder = Path(wanted.path)
    try:
        found = HfApi().repo_info(wanted.repo, repo_type=wanted.kind, revision=wanted.revision, files_metadata=True)
        chosen = [s for s in found.siblings if not wanted.files or any(fnmatch(s.rfilename, p) for p in wanted.files)]
        if not chosen:
            raise UserError(f"{wanted.repo}: has no file like {', '.join(wanted.files)} at revision {wanted.revision}")
        strange = next((s.rfilename for s in chosen if not is_inside(s.rfilename)), None)
        if strange is not None:
            raise UserError(f"{wanted.repo}: lists {strange!r}, which is not a file of its folder; nothing was brought")
        _same_commit(wanted, found.sha)
        hashes = _expected(wanted, chosen)
        there = {name for name in hashes if (folder / name).is_file()}
        _require(folder, there, hashes)  # before the hub's library brings what it finds changed again, and says nothing
        size = sum(sibling.size or 0 for sibling in chosen)
        log(f"{wanted.repo} at {found.sha}: {len(chosen)} files, {size / 1e9:.2f} GB, into {folder}")
        snapshot_download(
            wanted.repo,
            repo_type=wanted.kind,
            revision=found.sha,
            local_dir=folder,
            allow_patterns=[sibling.rfilename for sibling in chosen],
        )
    except errors.GatedRepoError:
        raise UserError(
            f"{wanted.repo}: needs consent to its licence on its page, then a token: set HF_TOKEN, or run `hf auth login`"
        ) from None
    except errors.RevisionNotFoundError:
        raise UserError(f"{wanted.repo}: has no revision {wanted.revision}") from None
    except errors.RepositoryNotFoundError:
        raise UserError(
            f"{wanted.repo}: there is no such {wanted.kind}, or it is closed to you; set HF_TOKEN"
        ) from None
    except (errors.HTTPError, errors.LocalEntryNotFoundError, OSError) as error:
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise UserError(f"{wanted.repo}: {reason}; {LATER}") from None
    _require(folder, set(hashes) - there, hashes)
    recorded = {name: getattr(wanted, name) for name in ("repo", "kind", "revision", "files")} | {"commit": found.sha}
    return write_manifest(record_of(wanted), "download", recorded, [sibling.rfilename for sibling in chosen])


def _require(folder: Path, names: Iterable[str], hashes: Mapping[str, str]) -> None:
    """Raises UserError that names the first of these files which has not the hash that it should have."""
    for name in sorted(names):
        if not (have := sha256(folder / name)).startswith(hashes[name]):
            raise UserError(
                f"{folder / name}: has SHA-256 {have}, but {hashes[name]} is asked for; delete it and run again"
            )


def _same_commit(wanted: Download, commit: str) -> None:
    """Refuse a branch or tag that has moved since it was fetched: the cache would no longer be what its record says."""
    earlier = _earlier(wanted)
    if earlier and earlier["settings"]["commit"] != commit:
        old = earlier["settings"]["commit"]
        raise UserError(
            f"{wanted.repo}: {wanted.revision} was {old} when it was fetched and is {commit} now; set `revision: {old}` to "
            f"keep that, or delete {record_of(wanted)} to take the new one"
        )


def _expected(wanted: Download, chosen: list) -> dict[str, str]:
    """The hash that each file must have, as far as the configuration or the hub says one (of large files it does).

    Raises UserError before anything is brought if the two differ, or if the configuration names a file that is not brought.
    """
    listed = {sibling.rfilename: sibling.lfs.sha256 if sibling.lfs else "" for sibling in chosen}
    for name, digits in (wanted.sha256 or {}).items():
        if name not in listed:
            raise UserError(f"{wanted.repo}: sha256 names {name}, which is not among the files to fetch")
        if listed[name] and not listed[name].startswith(digits):
            raise UserError(
                f"{wanted.repo}: {name} has SHA-256 {listed[name]} at {wanted.revision}, but {digits} is asked for"
            )
    return {name: found for name in listed if (found := listed[name] or (wanted.sha256 or {}).get(name, ""))}
