"""Copy a repository of the model hub into the cache. The one place that uses a network; everything else reads local files."""

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

from pnapo.artifacts import write_manifest
from pnapo.config.schema import Download
from pnapo.errors import UserError

NAME = "fetched.json"  # the manifest of a fetched folder


def fetch(wanted: Download, log: Callable[[str], None] = print) -> Path:
    """Bring the files of `wanted` into its folder, and return the manifest with their hashes and the commit they are of.

    Files that are there whole are not brought again, and one that was interrupted goes on where it was. HF_TOKEN, or a login,
    opens what needs one. Raises UserError if the hub cannot be reached, or does not give the files.
    """
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    constants.HF_HUB_OFFLINE = False  # all other jobs are offline
    folder = Path(wanted.path)
    try:
        found = HfApi().repo_info(wanted.repo, repo_type=wanted.kind, revision=wanted.revision, files_metadata=True)
        chosen = [s for s in found.siblings if not wanted.files or any(fnmatch(s.rfilename, p) for p in wanted.files)]
        if not chosen:
            raise UserError(f"{wanted.repo}: has no file like {', '.join(wanted.files)} at revision {wanted.revision}")
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
        raise UserError(
            f"{wanted.repo}: {reason}; run again where there is a network, it goes on where it was"
        ) from None
    recorded = {**wanted.model_dump(exclude={"path"}), "commit": found.sha}
    return write_manifest(folder / NAME, "download", recorded, [sibling.rfilename for sibling in chosen])
