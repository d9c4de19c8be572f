import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from populations.population import Recipe, build
from solvers.twins.warfarin_inr import twin as warfarin

HEADER = "id,age_years,weight [lb],cyp2c9,vkorc1,sex,share,sbp_mmHg,note"
ROWS = (
    "p1,50,150,*1*1,GG,female,1,120,well",
    "p2,60,160,*1*2,GA,male,2,130,",
    "p3,70,170,*3*3,AA,male,1,140,ill",
)
TEXT = "\n".join((HEADER, *ROWS)) + "\n"


def recipe(file, **rest):
    return Recipe(**{"reference": file.name, "folder": str(file.parent), "sampling": "sobol", "seed": 3, **rest})


def write(folder: Path, text: str, name: str = "patients.csv") -> Path:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return file


def patients(folder, text=TEXT, size=1024, **rest):
    return build(warfarin, recipe(write(folder, text), **rest)).draw(0, size)


def test_a_row_keeps_all_its_columns_together(tmp_path):
    drawn = patients(tmp_path)
    rows = {
        (a, round(w, 6), c, v)
        for a, w, c, v in zip(*(drawn[n] for n in ("age", "weight", "cyp2c9", "vkorc1")), strict=True)
    }
    assert rows == {(50.0, 150.0, 0.0, 0.0), (60.0, 160.0, 1.0, 1.0), (70.0, 170.0, 5.0, 2.0)}


def test_numbers_are_converted_to_the_unit_of_the_twin(tmp_path):
    drawn = patients(tmp_path, TEXT.replace("age_years", "age [month]"))
    assert set(np.round(drawn["age"] * 12.0, 9)) == {50.0, 60.0, 70.0}


def test_rows_are_drawn_by_their_weight(tmp_path):
    drawn = patients(tmp_path, weight="share")
    assert np.mean(drawn["age"] == 60.0) == pytest.approx(0.5, abs=0.002)
    assert np.mean(patients(tmp_path)["age"] == 60.0) == pytest.approx(1 / 3, abs=0.002)


def test_a_row_of_weight_zero_is_never_drawn(tmp_path):
    text = TEXT.replace("female,1,", "female,0,").replace("male,1,140", "male,0,140")
    assert set(patients(tmp_path, text, weight="share")["age"]) == {60.0}


def test_other_numbers_with_a_unit_come_along(tmp_path):
    population = build(warfarin, recipe(write(tmp_path, TEXT)))
    units = {one.name: one.unit for one in population.variables if one.kind == "covariate"}
    assert units == {"age": "year", "cyp2c9": "1", "vkorc1": "1", "weight": "lb", "sbp": "mmHg", "sex": "1"}


def test_columns_are_found_by_the_study_file(tmp_path):
    text = TEXT.replace("age_years", "how old")
    assert set(patients(tmp_path, text, columns={"age": "how old"})["age"]) == {50.0, 60.0, 70.0}
    text = TEXT.replace("age_years", "how old [month]")
    assert set(np.round(12 * patients(tmp_path, text, columns={"age": "how old [month]"})["age"], 9)) == {
        50.0,
        60.0,
        70.0,
    }


def test_frequencies_of_the_twin_stand_for_a_missing_genotype(tmp_path):
    drawn = patients(tmp_path, "age [year]\n50\n60\n")
    assert np.mean(drawn["cyp2c9"] == 0.0) == pytest.approx(0.587, abs=0.002)


def test_a_covariate_of_the_study_file_replaces_a_column(tmp_path):
    given = {"age": {"distribution": "uniform", "lower": "20 years", "upper": "30 years"}}
    drawn = patients(tmp_path, TEXT.replace(",50,", ",old,"), covariates=given)
    assert drawn["age"].max() < 30.0
    assert set(drawn["cyp2c9"]) == {0.0, 1.0, 5.0}


def test_parquet_and_csv_give_the_same_patients(tmp_path):
    file = write(tmp_path, TEXT)
    pd.read_csv(file).to_parquet(tmp_path / "patients.parquet")
    first = build(warfarin, recipe(file)).draw(0, 500)
    second = build(warfarin, recipe(tmp_path / "patients.parquet")).draw(0, 500)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name])


def test_fingerprint_follows_the_content_and_not_the_place(tmp_path):
    (tmp_path / "there").mkdir()
    prints = [
        build(warfarin, recipe(file)).fingerprint()
        for file in (
            write(tmp_path, TEXT),
            write(tmp_path / "there", TEXT),
            write(tmp_path, TEXT.replace("50", "51"), "b.csv"),
        )
    ]
    assert prints[0] == prints[1] != prints[2]


def test_a_byte_order_mark_and_empty_lines_do_no_harm(tmp_path):
    assert set(patients(tmp_path, "\ufeffage_years\n50\n\n60\n")["age"]) == {50.0, 60.0}


@pytest.mark.parametrize(
    ("text", "rest", "sentence"),
    [
        (TEXT.replace(",60,", ",sixty,"), {}, "patients.csv:3: column 'age_years' holds 'sixty'; write a number"),
        (TEXT.replace(",60,", ",,"), {}, "patients.csv:3: column 'age_years' holds an empty cell"),
        (TEXT.replace(",70,", ",nan,"), {}, "patients.csv:4: column 'age_years' holds 'nan'"),
        (TEXT.replace(",70,", ",1e999,"), {}, "patients.csv:4: column 'age_years' holds '1e999'"),
        (TEXT.replace("*1*2", "*1*9"), {}, r"patients.csv:3: column 'cyp2c9' holds '\*1\*9'; write one of: \*1\*1"),
        (TEXT.replace("GG", ""), {}, "patients.csv:2: column 'vkorc1' holds an empty cell"),
        (
            TEXT.replace("age_years", "old"),
            {},
            r"patients.csv:1: covariate 'age' \[year\], which the twin needs, is not in",
        ),
        (TEXT.replace("age_years", "age"), {}, "patients.csv:1: covariate 'age'"),
        (TEXT, {"columns": {"age": "Age"}}, "patients.csv:1: no column 'Age'; the columns are id, age_years"),
        (TEXT, {"columns": {"age": "weight [lb]"}}, r"column 'weight \[lb\]' is in lb, and covariate 'age' in year"),
        (TEXT, {"weight": "w"}, "patients.csv:1: no column 'w'"),
        (TEXT.replace(",2,130", ",-2,130"), {"weight": "share"}, "patients.csv:3: weight 'share' is -2"),
        (TEXT.replace(",2,130", ",,130"), {"weight": "share"}, "patients.csv:3: column 'share' holds an empty cell"),
        ("age_years,w\n5,0\n6,0\n", {"weight": "w"}, "patients.csv:1: every weight 'w' is 0"),
        (HEADER + "\n", {}, "patients.csv:1: there are no rows"),
        ("", {}, "patients.csv:1: the file is empty"),
        (TEXT + "p4,50\n", {}, "patients.csv:5: 2 cells, 9 headers"),
        (TEXT.replace("note", "sex"), {}, "patients.csv:1: two columns are called 'sex'"),
        (TEXT.replace("note", "age [month]"), {}, r"columns age_years, age \[month\] may all be 'age'"),
        (TEXT.replace("sbp_mmHg", "clearance [L/h]"), {}, r"column 'clearance \[L/h\]' has the name of a parameter"),
        (TEXT.replace("well", '"well'), {}, "patients.csv:1: cannot be read"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_with_its_line(tmp_path, text, rest, sentence):
    with pytest.raises(ValueError, match=sentence):
        patients(tmp_path, text, **rest)


def test_line_numbers_count_lines_within_cells(tmp_path):
    text = 'note,age_years\n"one\ntwo",50\nthree,old\n'
    with pytest.raises(ValueError, match=r"patients\.csv:4: column 'age_years' holds 'old'"):
        patients(tmp_path, text)


@pytest.mark.parametrize("name", ["none.csv", "none.parquet"])
def test_a_file_that_is_not_there_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=re.escape(f"{name}:1: there is no such file")):
        build(warfarin, recipe(tmp_path / name))


@pytest.mark.parametrize("name", ["bad.csv", "bad.parquet"])
def test_a_file_of_another_format_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xff\xfe\x00PAR")
    with pytest.raises(ValueError, match=re.escape(f"{name}:1: ")):
        build(warfarin, recipe(tmp_path / name))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("mutated")


@settings(derandomize=True, deadline=None, max_examples=150)
@given(
    place=st.integers(0, len(TEXT)),
    length=st.integers(0, 12),
    put=st.text(st.characters(codec="utf-8"), max_size=12)
    | st.sampled_from([",", "\n", '"', "1e308", "-1", "[", "]", "\x00", "age [year]", "_", "%"]),
    weight=st.sampled_from([None, "share", "note"]),
)
def test_a_mutated_file_gives_patients_or_a_value_error(folder, place, length, put, weight):
    file = folder / "patients.csv"
    file.write_bytes((TEXT[:place] + put + TEXT[place + length :]).encode())
    try:
        drawn = build(warfarin, recipe(file, weight=weight)).draw(0, 64, 1)
    except ValueError as error:
        assert str(error).startswith(str(file)), error
        return
    assert all(np.all(np.isfinite(values)) for values in drawn.values())


@settings(derandomize=True, deadline=None, max_examples=100)
@given(st.binary(max_size=200))
def test_any_bytes_give_patients_or_a_value_error(folder, content):
    for name in ("any.csv", "any.parquet"):
        (folder / name).write_bytes(content)
        with pytest.raises(ValueError, match=name):
            build(warfarin, recipe(folder / name))
