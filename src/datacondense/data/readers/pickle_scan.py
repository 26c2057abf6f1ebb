"""What a pickle would do, looked at before any of it is done."""

import pickletools
from collections.abc import Collection
from typing import BinaryIO

from ...utils.errors import DamagedFile, InputError, reason

_OPERATIONS = {operation.code: operation for operation in pickletools.opcodes}
_LONGEST_LINE = 4096
_LARGEST = 16 << 20
"""Bytes of the structure around the tensors in a file of torch.save, in which every tensor takes some hundred."""
_MOST_TUPLES = 20_000
"""Python hashes a tuple inside a tuple by recursion in C, which some ten thousand levels would crash."""
_MOST_HASHED = 100
"""Values that are hashed for each operation. Fewer than one, unless the same tuples are used many times."""
_KEEPING = ("APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD")
"""Operations that alter an object and leave it where it is."""
_HASHING = ("SETITEM", "SETITEMS", "DICT", "ADDITEMS", "FROZENSET")


class _Stack:
    """How large every value is that a pickle has made so far: a tuple as large as all that is hashed with it.

    Tuples may share their items. Thirty that hold the one before twice have 2^30, and Python hashes each of them.
    """

    def __init__(self) -> None:
        self._sizes: list[int | None] = []
        """Of the values on the stack; None is a mark."""
        self._memo: dict[int, int] = {}
        self.hashed = 0
        """Values that were hashed, at most."""

    def carry_out(self, operation: pickletools.OpcodeInfo, index: int) -> None:
        """Take from the stack what an operation takes, and put there what it makes.

        index: the number of its place in the memo, if it has one. Raises what lists do when it takes what is not there.
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
            taken = self._taken(operation)
            if name in _HASHING:
                self.hashed += sum(taken)
            if name in _KEEPING:
                sizes.append(taken[0])
            else:
                whole = 1 + sum(taken) if name.startswith("TUPLE") or name == "FROZENSET" else 1
                sizes += [whole] * len(operation.stack_after)

    def _taken(self, operation: pickletools.OpcodeInfo) -> list[int]:
        """Sizes of what an operation takes from the stack, the lowest first."""
        before, sizes = operation.stack_before, self._sizes
        count = len(before)
        taken: list[int] = []
        if pickletools.markobject in before:
            count = before.index(pickletools.markobject)
            while (size := sizes.pop()) is not None:
                taken.append(size)
        taken += [self._value(sizes.pop()) for _ in range(count)]
        return taken[::-1]

    @staticmethod
    def _value(size: int | None) -> int:
        if size is None:
            raise ValueError("a mark is where a value should be")
        return size


def check(file: BinaryIO, what: object, allowed: Collection[str] | None) -> None:
    """Go over the operations of one pickle, up to its end, and carry out none.

    allowed: the names it may use, where they are not left to `find_class`. Raises InputError for another name, for
    counts that would exhaust memory, the stack or the time, and for a pickle that is cut short; pickletools.OpcodeInfo
    knows how long an operation is.
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
        stack.carry_out(operation, index)
        if stack.hashed > _MOST_HASHED * count:
            raise DamagedFile(f"{what} is damaged or not a data file: its tuples would never be unpacked")
        if "UNICODE" in name:
            strings = [strings[1], argument.decode("utf-8", "replace")]
        wanted = argument.decode("utf-8", "replace") if name in ("GLOBAL", "INST") else ".".join(strings)
        if allowed is not None and name in ("GLOBAL", "INST", "STACK_GLOBAL") and wanted not in allowed:
            raise refused(what, wanted)
        if allowed is not None and file.tell() - start > _LARGEST:
            raise InputError(f"{what} holds a pickle of more than {_LARGEST >> 20} MiB outside its tensors")


def _argument(file: BinaryIO, operation: pickletools.OpcodeInfo, size: int) -> bytes:
    """The argument of an operation, or its first 4096 bytes; the two lines of a name become one with a dot."""
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
    """The error for a pickle that names what no data consists of."""
    printable = name[:200].encode("unicode_escape").decode()
    return InputError(f"{what} wants to run {printable}, which a data file has no need of: it is refused")


def damaged(what: object, kind: str, error: Exception) -> InputError:
    """The error for a file that is not `kind`, with the reason that a parser gave."""
    return DamagedFile(f"{what} is damaged or not {kind} ({reason(error)[:200]})")
