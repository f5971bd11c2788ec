"""What the executable needs not carry: the docstrings of pkgd's modules and functions.

Those of classes stay, because errors say theirs to clients. Assertions stay, too, unlike with `python -OO`.
"""

from __future__ import annotations

import ast
from pathlib import Path
from types import CodeType

__all__ = ["compiled_without"]


def compiled_without(path: str) -> CodeType:
    """The code of a source file without those docstrings."""
    tree = ast.parse(Path(path).read_bytes(), path)
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:] or [ast.copy_location(ast.Pass(), node.body[0])]
    return compile(tree, path, "exec", dont_inherit=True)
