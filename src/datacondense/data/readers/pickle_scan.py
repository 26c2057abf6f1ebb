"""Scan the operations of a pickle before any of them is executed.

It stays beside `weights_only` and the checksums: neither of them bounds what a hostile pickle allocates, nests or
hashes, and files with unknown checksums are read as well.
"""

import pickletools
from collections.abc import Collection
from typing import BinaryIO

from ...utils.errors import DamagedFile, InputError, reason

_OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
_LONGEST_LINE = 4096
_LARGEST = 16 << 20
"""Largest structure around the tensors of torch.save in bytes; each tensor takes about a hundred."""
_MOST_TUPLES = 20_000
"""Most nested tuples: Python hashes them by recursion in C, which crashes at about ten thousand levels."""
_MOST_HASHED = 100
"""Most values hashed per operation; fewer than one, unless tuples are shared many times."""
_KEEPING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
"""Operations that alter an object and leave it on the stack."""
_HASHING = ("SETITEM", "SETITEMS", "DICT", "ADDITEMS", "FROZENSET")


class _Stack:
    """Sizes of the values that a pickle has made so far: of a tuple, the number of values hashed with it.

    Tuples may share items: thirty tuples that each hold the previous one twice have 2^30, and Python hashes them all.
    """

    def __init__(self) -> None:
        self._sizes: list[int | None] = []
        """Sizes of the values on the stack; None is a mark."""
        self._memo: dict[int, int] = {}
        self.hashed = 0
        """Upper bound of the number of values hashed."""

    def apply(self, operation: pickletools.OpcodeInfo, index: int) -> None:
        """Pop the arguments of an operation and push its results.

        index: its position in the memo, if it has one. Raise the errors of lists when the stack is empty.
        """
        name, sizes = operation.name, self._sizes
        if name.endswith("PUT") or name == "MEMOIZE":
            self._memo[len(self._memo) if name == "MEMOIZE" else index] = self._value(sizes[-1])
        elif name.endswith("GET"):
            sizes.append(self._memo[index])
        elif name == "DUP":
            sizes.append(self._value(sizes[-1]))
        elif name == "POP":
            sizes.pop()
        elif name == "MARK":
            sizes.append(None)
        else:
            popped = self._pop(operation)
            if name in _HASHING:
                self.hashed += sum(popped)
            if name in _KEEPING:
                sizes.append(popped[0])
            else:
                whole = 1 + sum(popped) if name.startswith("TUPLE") or name == "FROZENSET" else 1
                sizes += [whole] * len(operation.stack_after)

    def _pop(self, operation: pickletools.OpcodeInfo) -> list[int]:
        """Pop the sizes of the arguments of an operation, and return them, the lowest first."""
        before, sizes = operation.stack_before, self._sizes
        count = len(before)
        popped: list[int] = []
        if pickletools.markobject in before:
            count = before.index(pickletools.markobject)
            while (size := sizes.pop()) is not None:
                popped.append(size)
        popped += [self._value(sizes.pop()) for _ in range(count)]
        return popped[::-1]

    @staticmethod
    def _value(size: int | None) -> int:
        if size is None:
            raise ValueError("a mark is where a value should be")
        return size


def check(file: BinaryIO, what: object, allowed: Collection[str] | None) -> None:
    """Check all operations of one pickle without executing any.

    allowed: the names it may use; None leaves them to `find_class`. Raise InputError for another name, for counts that
    would exhaust memory, stack or time, and for a truncated pickle.
    """
    start = file.tell()
    size = file.seek(0, 2)
    file.seek(start)
    count = tuples = 0
    strings = ["", ""]
    stack = _Stack()
    name = ""
    while name != "STOP":
        code = file.read(1)
        operation = _OPERATIONS.get(code.decode("latin1"))
        if operation is None:
            raise DamagedFile(
                f"{what} is damaged or not a pickle ({'byte ' + code.hex() if code else 'it ends early'})"
            )
        name, count, argument = operation.name, count + 1, _argument(file, operation, size)
        tuples += name.startswith("TUPLE")
        index = _number(name, argument) if name.endswith(("PUT", "GET")) else 0
        if index > count or tuples > _MOST_TUPLES or (name == "FRAME" and _number(name, argument) > size):
            raise DamagedFile(f"{what} is damaged or not a data file: its pickle claims more than it holds")
        stack.apply(operation, index)
        if stack.hashed > _MOST_HASHED * count:
            raise DamagedFile(f"{what} is damaged or not a data file: unpacking its tuples would never end")
        if "UNICODE" in name:
            strings = [strings[1], argument.decode("utf-8", "replace")]
        wanted = argument.decode("utf-8", "replace") if name in ("GLOBAL", "INST") else ".".join(strings)
        if allowed is not None and name in ("GLOBAL", "INST", "STACK_GLOBAL") and wanted not in allowed:
            raise refused(what, wanted)
        if allowed is not None and file.tell() - start > _LARGEST:
            raise InputError(f"{what} holds a pickle of more than {_LARGEST >> 20} MiB outside its tensors")


def _argument(file: BinaryIO, operation: pickletools.OpcodeInfo, size: int) -> bytes:
    """Return the argument of an operation, or its first 4096 bytes; join the two lines of a name with a dot."""
    if operation.arg is None:
        return b""
    length = operation.arg.n
    if length == pickletools.UP_TO_NEWLINE:
        lines = 2 if operation.name in ("GLOBAL", "INST") else 1
        return b".".join(_line(file) for _ in range(lines))
    prefix = {
        pickletools.TAKEN_FROM_ARGUMENT1: 1,
        pickletools.TAKEN_FROM_ARGUMENT4: 4,
        pickletools.TAKEN_FROM_ARGUMENT4U: 4,
        pickletools.TAKEN_FROM_ARGUMENT8U: 8,
    }.get(length)
    if prefix:
        length = int.from_bytes(file.read(prefix), "little")
    end = file.tell() + length
    if end > size:
        raise EOFError("it ends early")
    argument = file.read(min(length, _LONGEST_LINE))
    file.seek(end)
    return argument


def _line(file: BinaryIO) -> bytes:
    line = file.readline(_LONGEST_LINE)
    if not line.endswith(b"\n"):
        raise EOFError("a line does not end")
    return line[:-1]


def _number(name: str, argument: bytes) -> int:
    return int(argument) if name in ("PUT", "GET") else int.from_bytes(argument, "little")


def refused(what: object, name: str) -> InputError:
    """Return the error for a pickle with a name that data files do not use."""
    printable = name[:200].encode("unicode_escape").decode()
    return InputError(f"{what} would run {printable}, which data files do not use: it is refused")


def damaged(what: object, kind: str, error: Exception) -> InputError:
    """Return the error for a file that is not of this kind, with the reason of the parser."""
    return DamagedFile(f"{what} is damaged or not {kind} ({reason(error)[:200]})")
