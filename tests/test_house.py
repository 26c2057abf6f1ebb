"""The house style that a machine can hold: sizes, words, and docstrings."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import datacondense

PACKAGE = Path(datacondense.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
LINES, LONG, PARAMETERS = 300, 60, 8
PRIVATE_WORDS = re.compile(r"\b(said|told|taken_up|of_set|foretell\w*)\b")
_NOT_AN_ORDER = re.compile(r'^"*(What|Whether|How|Who|Where|When|Why)\b')


def functions(path: Path) -> Iterator[ast.FunctionDef]:
    """Every function in a file, methods and inner ones included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef):
            yield node


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= LINES
    for function in functions(path):
        assert (function.end_lineno or 0) - function.lineno < LONG, function.name
        arguments = function.args
        names = [one.arg for one in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
        assert len(set(names) - {"self", "cls"}) <= PARAMETERS, function.name


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_words_are_those_of_the_field(path: Path) -> None:
    text = path.read_text()
    assert not PRIVATE_WORDS.findall(text)
    for function in functions(path):
        first = (ast.get_docstring(function) or "").partition("\n")[0]
        is_property = any("property" in ast.unparse(one) for one in function.decorator_list)
        assert is_property or not _NOT_AN_ORDER.match(first), f"{function.name}: begin with a verb: {first}"
