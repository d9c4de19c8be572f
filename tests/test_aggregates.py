"""Aggregates: what pages are drawn from is what the cohort holds, at a memory that does not grow with it."""

import itertools
import shutil
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import xarray as xr
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis import summary, truth
from analysis.aggregates import QUANTILES, bands
from analysis.endpoints import complete, true
from analysis.histogram import BARS, counts, edges, logarithmic
from analysis.people import FIRST, people
from analysis.slabs import slabs
from solvers.status import Status
from trials import schema, store
from trials.run import cohort as opened
from trials.run import run
from trials.study import Study, read

PLAIN = """
study: plain
title: Two doses
twin: theophylline
population: {reference: us-adults, size: 300}
tick: 6 h
record: every 6 h
visits: 0, 1, 2 days
arms:
  low:  {policy: fixed-oral, dose: 100 mg, every: 12 h, from: 0 days}
  high: {policy: fixed-oral, dose: 200 mg, every: 12 h, from: 0 days}
outcomes: [concentration]
endpoints:
  primary: {time in range: concentration, between: 2 to 8 mg/L, until: 2 days}
trial: {replicates: 5, subjects: 20, allocation: 1:1}
analysis: {contrast: high - low, method: t-test, sided: 2, alpha: 5 %}
"""


@pytest.fixture(scope="module")
def lived(small_run: Path) -> tuple[Study, xr.Dataset, np.ndarray]:
    study, cohort = opened(small_run)
    return study, cohort.load(), truth.pool(cohort)


@pytest.fixture(scope="module")
def stored(small_run: Path) -> SimpleNamespace:
    return SimpleNamespace(**{name: store.open_group(small_run, name).load() for name in schema.AGGREGATES})


def effects(lived: tuple, name: str) -> np.ndarray:
    study, cohort, inside = lived
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    values = true(named[name], cohort, named)[:, inside]
    arms = [arm.name for arm in study.arms]
    return values[arms.index(study.contrast[0])] - values[arms.index(study.contrast[1])]


def test_bands_are_the_quantiles_of_all_patients_however_little_memory_there_is(lived, stored):
    study, cohort, inside = lived
    for memory in (1, 40_000, 2**30):
        found = bands(study, cohort, inside, memory)
        for outcome in study.plan.outcomes:
            expected = np.moveaxis(np.quantile(cohort[outcome].values[:, inside], QUANTILES, axis=1), 0, 1)
            assert np.array_equal(found[outcome].values, expected)
            assert np.array_equal(stored.bands[outcome].values, expected)


def test_bands_hold_a_bounded_part_of_a_cohort_in_memory(tmp_path):
    patients, times = 160_000, 60
    values = np.random.default_rng(1).random((1, patients, times))
    whole = xr.Dataset(
        {"level": ((schema.ARM, schema.PATIENT, schema.TIME), values)}, {"arm": [0], "time": range(times)}
    )
    chunks = {"level": {"chunks": (1, 4000, times)}}
    whole.to_zarr(tmp_path / "whole.zarr", encoding=chunks, consolidated=False, zarr_format=3)
    study = SimpleNamespace(plan=SimpleNamespace(outcomes=("level",)), arms=(0,))
    lazily = xr.open_zarr(tmp_path / "whole.zarr", consolidated=False, chunks=None)
    tracemalloc.start()
    try:
        bands(study, lazily, np.ones(patients, bool), memory=2**23)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 0.8 * values[0].nbytes, f"{peak} bytes at once, and one arm has {values[0].nbytes}"


@given(st.integers(0, 100), st.integers(1, 40))
def test_slabs_are_all_patients_once(patients, size):
    numbers = np.arange(patients)
    parts = [numbers[slab] for slab in slabs(patients, size)]
    assert np.array_equal(np.concatenate([numbers[:0], *parts]), numbers)
    assert all(0 < len(part) <= size for part in parts)


def test_complete_endpoints_do_not_depend_on_slabs(lived):
    study, cohort, _ = lived
    named = {endpoint.name: endpoint for endpoint in study.endpoints}
    twenty = xr.concat([cohort.isel(patient=slice(0, 1000))] * 17, "patient", data_vars="minimal")
    assert twenty.sizes["patient"] == 17_000  # more than one slab
    for endpoint in study.endpoints:
        assert np.array_equal(
            complete(endpoint, twenty, named), np.tile(complete(endpoint, cohort, named), 17), equal_nan=True
        )


def test_every_histogram_counts_every_patient(lived, stored):
    study, cohort, inside = lived
    expected = [study.size, int(cohort["eligible"].values.sum()), int(inside.sum())]
    assert expected[0] > expected[1] > 0
    numbers = stored.people["number"].values.tolist()
    assert {"age", "weight"} < set(numbers)
    for name in numbers:
        assert stored.people["count"].sel(number=name).sum("bar").values.tolist() == expected
        assert stored.people["mean"].sel(number=name, who="pool") == pytest.approx(cohort[name].values[inside].mean())
    levels = stored.people["level_count"].groupby("category_variable").sum()
    assert set(levels["category_variable"].values) == {"sex", "cyp2c9", "vkorc1"}
    assert (levels.values == expected).all()


def test_correlations_are_those_of_scipy(lived, stored):
    _, cohort, _ = lived
    for who, group in (("candidates", np.ones(1000, bool)), ("eligible", cohort["eligible"].values)):
        expected = stats.spearmanr(cohort["age"].values[group], cohort["egfr"].values[group]).statistic
        found = stored.people["correlation"].sel(among=who, number="age", other="egfr")
        assert float(found) == pytest.approx(expected, abs=1e-12)


def test_the_funnel_ends_at_the_eligible_and_counts_what_failed(lived, small_run):
    study, cohort, _ = lived
    bad = cohort.copy(deep=True)
    sick = np.flatnonzero(bad["eligible"].values)[:3]
    bad["status"].values[1, sick] = Status.NOT_FINITE
    found = people(study, bad, truth.pool(bad))
    age = cohort["age"].values
    assert found["remaining"].values.tolist() == found["alone"].values.tolist() == [(age >= 50).sum()]
    eligible = int(cohort["eligible"].values.sum())
    assert found["patients"].values.tolist() == [study.size, eligible, eligible - 3]
    assert found["lives"].sel(status="a state or outcome is not finite").values.tolist() == [0, 3]


def test_attained_statistics_are_held_against_the_reference(lived, stored):
    rows = stored.people.isel(statistic=stored.people["statistic_of"].values == "weight")
    mean = rows.isel(statistic=rows["statistic_name"].values == "mean")
    assert float(mean["target"].item()) == pytest.approx(82.6, abs=1.0)  # NHANES 2009-2016, adults, weighted [kg]
    assert float(mean["attained"].item()) == pytest.approx(lived[1]["weight"].values[:FIRST].mean(), rel=1e-9)


def test_individual_effects_are_those_of_paired_lives(lived, stored, small_run):
    rows = {(row.name, row.contrast): row for row in summary.read(small_run)}
    for endpoint in lived[0].endpoints:
        effect, found = effects(lived, endpoint.name), stored.responses.sel(endpoint=endpoint.name)
        signs = [(effect < 0).sum(), (effect == 0).sum(), (effect > 0).sum()]
        assert found["signs"].values.tolist() == signs
        assert found["effect_count"].values.sum() == len(effect)
        assert np.array_equal(found["effect_quantiles"].values, np.quantile(effect, found["rank"].values))
        row = rows[f"{endpoint.name}: difference, truth", "genotype - fixed"]
        assert float(found["effect_mean"]) == pytest.approx(row.value, abs=1e-12)


def test_no_bar_holds_effects_of_both_signs(stored):
    for endpoint in stored.responses["endpoint"].values:
        edge = stored.responses["effect_edges"].sel(endpoint=endpoint).values
        edge = edge[np.isfinite(edge)]
        whole = not edge[0] % 0.5  # bars of whole numbers begin half below them
        assert not any(low < -0.5 * whole and high > 0.5 + whole for low, high in itertools.pairwise(edge))


def test_the_examples_are_patients_with_such_effects(lived, stored):
    numbers = np.flatnonzero(lived[2])
    effect = effects(lived, "primary")
    for place, number in zip(
        stored.responses["place"].values, stored.responses["example"].sel(endpoint="primary").values, strict=True
    ):
        away = np.abs(effect - np.quantile(effect, place))
        assert numbers[away.argmin()] == number


def test_means_by_level_are_those_of_the_subgroups(stored, small_run):
    rows = {(row.name, row.arm or row.contrast): row for row in summary.read(small_run)}
    cells = stored.responses.isel(cell=stored.responses["cell_variable"].values == "vkorc1")
    assert cells.sizes["cell"] == 3
    for i, level in enumerate(cells["cell_label"].values):
        for endpoint in ("primary", "good_control"):
            one = cells.isel(cell=i).sel(endpoint=endpoint)
            mean = rows[f"{endpoint}: mean in vkorc1 {level}", "fixed"]
            difference = rows[f"{endpoint}: difference in vkorc1 {level}", "genotype - fixed"]
            for ends, row in (
                (("mean", "mean_lower", "mean_upper"), mean),
                (("effect", "effect_lower", "effect_upper"), difference),
            ):
                got = [float(one[end].sel(arm="fixed") if ends[0] == "mean" else one[end]) for end in ends]
                assert got == pytest.approx([row.value, row.lower, row.upper], abs=1e-12)


def test_tenths_of_a_number_hold_a_tenth_of_the_patients_each(lived, stored):
    cells = stored.responses.isel(cell=stored.responses["cell_variable"].values == "weight").sel(endpoint="primary")
    pool = int(lived[2].sum())
    assert cells["cell_patients"].values.sum() == pool
    assert np.allclose(cells["cell_patients"].values, pool / 10, atol=1.5)
    assert (np.diff(cells["cell_middle"].values) > 0).all()


def test_what_is_lost_of_the_aggregates_is_made_again(small_run, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(small_run, copy)
    before = store.open_group(copy, schema.PEOPLE).load()
    shutil.rmtree(copy / store.COHORT / schema.PEOPLE)
    summary.summarise(copy)
    assert store.open_group(copy, schema.PEOPLE).load().identical(before)


def test_a_study_without_criteria_or_levels_has_its_aggregates(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(PLAIN, encoding="utf-8")
    run(read(path), tmp_path / "run")
    summary.summarise(tmp_path / "run")
    found = store.open_group(tmp_path / "run", schema.PEOPLE).load()
    assert found.sizes["criterion"] == 0
    assert found["patients"].values.tolist() == [300, 300, 300]
    assert store.open_group(tmp_path / "run", schema.RESPONSES)["signs"].values.sum() == 300


numbers = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=60).map(np.array)
whole = st.lists(st.integers(-500, 500), min_size=1, max_size=60).map(lambda each: np.array(each, float))


@given(st.one_of(numbers, whole), st.booleans())
def test_bars_hold_every_value_once(values, zero):
    edge = edges(values, zero)
    known = edge[np.isfinite(edge)]
    assert 2 <= len(known) <= BARS + 1
    assert (np.diff(known) > 0).all()
    assert counts(values, edge).sum() == len(values)


def test_bars_suit_the_values():
    ages = edges(np.arange(18.0, 81.0))
    assert np.isfinite(ages).sum() - 1 == 32  # two years a bar, none of them half empty
    assert ages[0] == 17.5
    assert not logarithmic(ages)
    skewed = np.random.default_rng(1).lognormal(0.0, 1.0, 1000)
    assert logarithmic(edges(skewed))
    assert 0.0 in edges(np.random.default_rng(1).normal(0.3, 1.0, 1000), zero=True)
    assert not np.isfinite(edges(np.empty(0))).any()
