"""Files that are whole or not there: atomic writes, tables, tensors and manifests."""

from pnapo.artifacts.files import atomic_path, files_of, prompt_id, prompt_of, read_json, sha256, write_json, write_text
from pnapo.artifacts.manifest import (
    listing_of,
    read_manifest,
    require_intact,
    require_listed,
    require_whole,
    verify_manifest,
    write_listing,
    write_manifest,
)
from pnapo.artifacts.records import read_record, write_record
from pnapo.artifacts.seal import require_seal
from pnapo.artifacts.tables import read_table, table_writer, write_csv, write_table
from pnapo.artifacts.tensors import read_metadata, read_tensors, tensor_writer, write_checkpoint, write_tensors

__all__ = [
    "atomic_path",
    "files_of",
    "listing_of",
    "prompt_id",
    "prompt_of",
    "read_json",
    "read_manifest",
    "read_metadata",
    "read_record",
    "read_table",
    "read_tensors",
    "require_intact",
    "require_listed",
    "require_seal",
    "require_whole",
    "sha256",
    "table_writer",
    "tensor_writer",
    "verify_manifest",
    "write_checkpoint",
    "write_csv",
    "write_json",
    "write_listing",
    "write_manifest",
    "write_record",
    "write_table",
    "write_tensors",
    "write_text",
]
