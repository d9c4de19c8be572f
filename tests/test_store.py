"""The store keeps what it is given, to the bit, and never takes a broken chunk for a whole one."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from trials import schema, store

WIDTH, CHUNK, TIMES = 4, 8, 3
LAYOUT = store.Layout(
    {
        "inr": ((schema.ARM, schema.PATIENT, schema.TIME), "f8", {"units": "1"}),
        schema.STATUS: ((schema.ARM, schema.PATIENT), "i1", {}),
        "age": ((schema.PATIENT,), "f8", {"units": "year"}),
        schema.PATIENT: ((schema.PATIENT,), "i8", {}),
    },
    {schema.TIME: (schema.TIME, np.arange(float(TIMES)), {"units": "days"})},
)
SETTINGS = settings(
    derandomize=True, deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def marker(arm, chunk, start, stop, key="k"):
    return store.Marker("", arm, chunk, start, stop, key, "", {"ok": stop - start}, [], {})


def made(folder, size):
    store.prepare(folder, "", LAYOUT, ["a", "b"], size, CHUNK, WIDTH)
    return store.shelf(folder, "")


@SETTINGS
@given(
    data=st.data(),
    count=st.sampled_from([4, 8]),
    chunk=st.integers(0, 2),
    arm=st.sampled_from(["a", "b"]),
)
def test_a_chunk_reads_back_as_it_was_written(data, count, chunk, arm, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    shelf = made(folder, 20)
    inr = data.draw(arrays.arrays(np.float64, (count, TIMES), elements=st.floats(width=64)))
    status = data.draw(arrays.arrays(np.int8, count, elements=st.integers(0, 5)))
    start = chunk * CHUNK
    store.write_chunk(shelf, marker(arm, chunk, start, start + count), {"inr": inr, schema.STATUS: status})
    found = store.done(shelf, arm, chunk, start + count, "k")
    assert found is not None
    columns = store.read_chunk(shelf, found)
    assert np.array_equal(columns["inr"], inr, equal_nan=True)
    assert columns[schema.STATUS].tolist() == status.tolist()
    assert store.digest(columns) == found.sha256
    assert store.done(shelf, arm, chunk, start + count + 1, "k") is None
    assert store.done(shelf, arm, chunk, start + count, "another key") is None
    assert store.done(shelf, "b" if arm == "a" else "a", chunk, start + count, "k") is None


def test_cutting_the_padding_and_growing_again_loses_nothing(tmp_path):
    shelf = made(tmp_path, 10)
    values = np.arange(8 * TIMES, dtype=float).reshape(8, TIMES)
    store.write_chunk(shelf, marker("b", 1, 8, 16), {"inr": values, schema.STATUS: np.ones(8, np.int8)})
    store.finish(tmp_path, {"": 10})
    assert store.open_group(tmp_path, "")["inr"].shape == (2, 10, TIMES)
    shelf = store.shelf(tmp_path, "")
    found = store.done(shelf, "b", 1, 16, "k")
    assert found is not None and np.array_equal(store.read_chunk(shelf, found)["inr"], values)
    grown = made(tmp_path, 30)
    assert np.array_equal(store.group(tmp_path, "")["inr"][1, 8:16], values)
    assert store.stored_arms(store.group(tmp_path, "")) == grown.arms == ["a", "b"]


@SETTINGS
@given(data=st.data())
def test_a_broken_marker_is_no_marker(data, tmp_path_factory):
    folder = tmp_path_factory.mktemp("store")
    shelf = made(folder, 8)
    columns = {"inr": np.ones((8, TIMES)), schema.STATUS: np.ones(8, np.int8)}
    store.write_chunk(shelf, marker("a", 0, 0, 8), columns)
    path = store.marker_path(folder, "", "a", 0)
    text = path.read_text(encoding="utf-8")
    at = data.draw(st.integers(0, len(text) - 1))
    broken = data.draw(st.sampled_from([text[:at], text[:at] + "\x00" + text[at + 1 :], text[:at] + text[at + 1 :]]))
    path.write_text(broken, encoding="utf-8")
    found = store.read_marker(shelf, "a", 0)
    if found is not None:  # the change left a marker that says the same of its files
        assert found.files == json.loads(text)["files"]


# a whole marker but for its files
ODD = (
    '{"group": "", "arm": "a", "chunk": 0, "start": 0, "stop": 8, "key": "k", '
    '"sha256": "", "statuses": {}, "failures": [], '
)


@pytest.mark.parametrize("content", ["", "[]", "null", "3", '{"group": ""}', '"x"', "{}", ODD + '"files": null}'])
def test_what_is_no_marker_is_none(content, tmp_path):
    shelf = made(tmp_path, 8)
    path = store.marker_path(tmp_path, "", "a", 0)
    path.parent.mkdir(parents=True)
    path.write_text(content, encoding="utf-8")
    assert store.read_marker(shelf, "a", 0) is None


def test_a_chunk_that_lacks_a_variable_is_refused(tmp_path):
    with pytest.raises(ValueError, match="differ in status"):
        store.write_chunk(made(tmp_path, 8), marker("a", 0, 0, 8), {"inr": np.ones((8, TIMES))})
    assert store.markers(tmp_path) == []


def test_a_killed_writers_leavings_are_cleared(tmp_path):
    made(tmp_path, 8)
    left = tmp_path / store.COHORT / "inr" / "c" / "0" / "0" / "0.abc.partial"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half")
    store.sweep(tmp_path)
    assert not left.exists()
