"""The hierarchy of errors: what a caller can catch, and that one line is one line."""

import pytest

import datacondense as dc
from datacondense.utils.errors import naming


@pytest.mark.parametrize(
    ("error", "bases"),
    [
        (dc.InputError, (dc.DatacondenseError, ValueError)),
        (dc.DataNotFound, (dc.InputError,)),
        (dc.DamagedFile, (dc.InputError,)),
        (dc.Locked, (dc.DatacondenseError,)),
        (dc.Stopped, (dc.DatacondenseError,)),
        (dc.Diverged, (dc.DatacondenseError, RuntimeError)),
        (dc.LostProcess, (dc.DatacondenseError, RuntimeError)),
    ],
)
def test_an_error_is_caught_by_each_of_its_bases(error: type[Exception], bases: tuple[type[Exception], ...]) -> None:
    for base in bases:
        with pytest.raises(base, match=r"^a b$"):
            raise error("a\nb")


def test_a_stop_by_the_user_is_no_mistake_of_the_user() -> None:
    assert not issubclass(dc.Stopped, dc.InputError)
    assert not issubclass(dc.Locked, dc.InputError)


def test_naming_a_file_keeps_the_type_of_the_error() -> None:
    with pytest.raises(dc.DamagedFile, match=r"^set\.npz: it is cut short$"), naming("set.npz"):
        raise dc.DamagedFile("it is cut short")


def test_a_set_that_is_not_there_is_data_not_found() -> None:
    with pytest.raises(dc.DataNotFound, match="no synthetic set"):
        dc.load_set("nowhere")
