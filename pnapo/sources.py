"""What a Python source file imports, read from its text without running it. Standard library only.

The workflow takes a rule's code from here (a changed module makes again what it computed), and warm starts the
libraries that a job will ask for.
"""

import ast
import os
from functools import cache
from typing import NamedTuple


class Imports(NamedTuple):
    """Files of this package, and other modules with the names taken from them, wherever in the source they stand."""

    files: tuple[str, ...]
    others: tuple[tuple[str, tuple[str, ...]], ...]


@cache
def _parsed(source: str, stamp: tuple[int, int], root: str) -> Imports:
    with open(source, "rb") as file:
        tree = ast.parse(file.read())
    files, others = set(), {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            wanted = [(alias.name, ()) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            wanted = [(node.module, tuple(alias.name for alias in node.names))]
        else:
            continue
        for module, names in wanted:
            if module.split(".")[0] != "pnapo":
                others[module] = tuple(dict.fromkeys((*others.get(module, ()), *names)))
                continue
            for dotted in (module, *(f"{module}.{name}" for name in names)):
                path = dotted.replace(".", "/")
                files |= {f for f in (f"{path}.py", f"{path}/__init__.py") if os.path.isfile(os.path.join(root, f))}
    return Imports(tuple(sorted(files)), tuple(others.items()))


def imports(source: str, root: str = ".") -> Imports:
    """What the file `source` of the repository `root` imports. Raises OSError or SyntaxError if it cannot be read."""
    path = os.path.join(root, source)
    found = os.stat(path)
    return _parsed(path, (found.st_mtime_ns, found.st_size), root)


def closure(source: str, root: str = ".", skip: tuple[str, ...] = ()) -> list[str]:
    """The file itself and all files of this package that it imports, directly or through others, sorted.

    Files whose path begins with one of `skip` are left out, and with them what only they import.
    """
    found, todo = {source}, [source]
    while todo:
        new = [f for f in imports(todo.pop(), root).files if f not in found and not f.startswith(skip)]
        found.update(new)
        todo += new
    return sorted(found)
