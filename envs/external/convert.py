"""The tensors of a pickled network, as .safetensors, without running code from the file:

    python envs/external/convert.py MPS_overall_checkpoint.pth MPS_overall.safetensors

A file that was saved with `torch.save(network, …)` names classes and functions that unpickling would call. Here each of them
becomes an empty shell that only keeps its state, but for those that make tensors. The new file's metadata says the hash of
the old one; both hashes are printed.
"""

import argparse
import collections
import hashlib
import os
import pickle
import types
import zipfile

import torch
from safetensors.torch import save_file

MAKERS = {
    ("collections", "OrderedDict"): collections.OrderedDict,
    ("__builtin__", "set"): set,
    ("builtins", "set"): set,
}
MAKERS |= {
    ("torch._utils", name): getattr(torch._utils, name)
    for name in ("_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_parameter_with_state")
}


class Shell:
    """Stands for an object of any class: takes everything, does nothing."""

    def __init__(self, *_, **__):
        pass

    def __setstate__(self, state):
        self.__dict__.update(state if isinstance(state, dict) else {})

    def __setitem__(self, key, value):
        pass

    def append(self, value):
        pass

    add = append

    def extend(self, values):
        pass


class Unpickler(pickle.Unpickler):
    """Knows how to make tensors; everything else is a shell."""

    def find_class(self, module, name):
        if module == "torch" and isinstance(getattr(torch, name, None), torch.dtype):
            return getattr(torch, name)
        return MAKERS.get((module, name)) or type(name, (Shell,), {})


READER = types.SimpleNamespace(__name__="shells", Unpickler=Unpickler, UnpicklingError=pickle.UnpicklingError)


def tensors(module: Shell, prefix: str = "") -> dict[str, torch.Tensor]:
    """The state dict of a shell that was an nn.Module."""
    content = vars(module)
    hidden = content.get("_non_persistent_buffers_set") or set()
    found = {name: value for name, value in content.get("_parameters", {}).items() if value is not None}
    found |= {k: v for k, v in content.get("_buffers", {}).items() if v is not None and k not in hidden}
    found = {prefix + name: value.detach().clone().contiguous() for name, value in found.items()}
    for name, child in content.get("_modules", {}).items():
        found |= tensors(child, f"{prefix}{name}.") if isinstance(child, Shell) else {}
    return found


def convert(source: str, target: str) -> None:
    """Write the tensors of the network in `source`. Raises ValueError if it holds none."""
    if zipfile.is_zipfile(source) and any(
        name.endswith("constants.pkl") for name in zipfile.ZipFile(source).namelist()
    ):
        raise ValueError(f"{source}: a TorchScript archive, which is a program; it is not loaded")
    network = torch.load(source, map_location="cpu", weights_only=False, pickle_module=READER)
    found = tensors(network) if isinstance(network, Shell) else {}
    if not found:
        raise ValueError(f"{source}: holds no pickled network")
    save_file(found, f"{target}.part", {"format": "pt", "source_sha256": sha256(source)})
    os.replace(f"{target}.part", target)


def sha256(path: str) -> str:
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source")
    parser.add_argument("target")
    args = parser.parse_args()
    convert(args.source, args.target)
    for path in (args.source, args.target):
        print(sha256(path), path)


if __name__ == "__main__":
    main()
