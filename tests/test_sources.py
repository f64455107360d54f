"""What the sources say they import."""

import pytest

from pnapo.sources import closure, imports


@pytest.fixture
def root(tmp_path):
    for name, text in {
        "pnapo/__init__.py": "",
        "pnapo/a/__init__.py": "from pnapo.a.one import x\n",
        "pnapo/a/one.py": "import os\nx = 1\nif x:\n    from torch.nn import Linear, functional as F\n    import torch.fft\n",
        "pnapo/a/two.py": "from pnapo import b\nfrom pnapo.a import one\n",
        "pnapo/b.py": "from .a import two\n",
        "go.py": "def main():\n    from pnapo.a.two import y\n",
    }.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return str(tmp_path)


def test_imports_inside_functions_count_and_libraries_come_with_their_names(root):
    found = imports("pnapo/a/one.py", root)
    assert found.files == ()
    assert dict(found.others) == {"os": (), "torch.nn": ("Linear", "functional"), "torch.fft": ()}


def test_closure_follows_modules_and_packages(root):
    package = ["pnapo/__init__.py", "pnapo/a/__init__.py", "pnapo/a/one.py", "pnapo/a/two.py", "pnapo/b.py"]
    assert closure("go.py", root) == ["go.py", *package]
    assert closure("go.py", root, skip=("pnapo/a/one.py", "pnapo/b")) == ["go.py", *package[:2], "pnapo/a/two.py"]
    assert closure("pnapo/b.py", root) == ["pnapo/b.py"]  # the project has no relative imports, and none is followed


def test_a_changed_file_is_read_again(root, tmp_path):
    assert imports("go.py", root).others == ()
    (tmp_path / "go.py").write_text("import json.decoder\n")
    assert imports("go.py", root).others == (("json.decoder", ()),)
