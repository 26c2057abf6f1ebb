"""How a set was made: what is read of a file is what is written again."""

import copy
import pickle

import msgspec

from datacondense import Provenance

ENTRIES = {"later": [1], "method": "dm", "start": None, "settings": {}, "ipc": 2, "source": None, "machine": "x"}


def test_unknown_entries_and_none_and_order_survive() -> None:
    made = Provenance.from_json(ENTRIES)
    assert list(made.to_json().items()) == list(ENTRIES.items())
    assert (made.method, made.start, made.source, made.seed) == ("dm", {}, {}, None)
    for again in (pickle.loads(pickle.dumps(made)), copy.deepcopy(made)):
        assert again == made
        assert list(again.to_json().items()) == list(ENTRIES.items())


def test_a_changed_field_is_written() -> None:
    made = Provenance.from_json(ENTRIES)
    for changed in (made.changed(ipc=3), msgspec.structs.replace(made, ipc=3)):
        assert (changed.ipc, changed.to_json()["ipc"]) == (3, 3)
        assert list(changed.to_json()) == list(ENTRIES)
    assert made.changed(seed=1).to_json() == {**ENTRIES, "seed": 1}
    assert made.changed(source={"source": "digits"}).to_json()["source"] == {"source": "digits"}


def test_without_a_file_the_known_fields_are_written() -> None:
    assert Provenance(method="dm", ipc=1).to_json() == {"method": "dm", "ipc": 1}
    assert repr(Provenance(method="dm", ipc=1)) == "Provenance(method='dm', ipc=1)"
