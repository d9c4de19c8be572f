"""Derivatives: against finite differences, each other, and what a linear twin must obey."""

import numpy as np
import pytest

from analysis.slopes import derivatives, elasticities
from solvers.derivative import gradients, slopes
from solvers.solve import solver
from trials import engines
from trials.study import Study, read

THEOPHYLLINE = """
study: linear
title: A linear twin
twin: theophylline
population: {reference: us-adults, size: 512, sampling: sobol, seed: 3}
eligibility: []
tick: 1 h
record: every 1 h
visits: 0, 12, 24 h
arms:
  low: {policy: fixed-oral, dose: 200 mg, every: 12 h}
  high: {policy: fixed-oral, dose: 300 mg, every: 12 h}
outcomes: [concentration]
endpoints:
  primary: {time in range: concentration, between: 5 to 15 mg/L, until: 24 h}
trial: {replicates: 10, subjects: 100}
analysis: {contrast: high - low, method: t-test}
"""


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Study:
    path = tmp_path_factory.mktemp("linear") / "study.yaml"
    path.write_text(THEOPHYLLINE, encoding="utf-8")
    return read(path)


def test_derivatives_are_those_of_finite_differences(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    study = read(path)
    names = ("ec50", "steepness", "age")
    policy, plan = study.arms[1].policy, study.plan
    numbers = np.arange(24)
    values = study.population.draw(0, 24)
    found = slopes(study.twin, policy, plan, study.seed, engines.of(study, study.arms[1]), names)(numbers, values)
    solve = solver(study.twin, policy, plan, study.seed, engines.of(study, study.arms[1]))
    np.testing.assert_allclose(found.lives.recorded["inr"], solve(numbers, values).recorded["inr"], rtol=1e-12)
    for i, name in enumerate(names):
        step = 1e-5 * np.abs(values[name])
        up, down = (solve(numbers, values | {name: values[name] + sign * step}) for sign in (1, -1))
        by_hand = (up.recorded["inr"] - down.recorded["inr"]) / (2 * step[:, None])
        # Central differences of a smooth function: rounding over the step, 1e-16 / 1e-5, and the step squared.
        np.testing.assert_allclose(
            found.recorded["inr"][:, :, i], by_hand, rtol=1e-5, atol=1e-6 * np.abs(by_hand).max()
        )
        fold = plan.folds[0].name
        np.testing.assert_allclose(
            found.folds[fold][:, i],
            (up.folds[fold] - down.folds[fold]) / (2 * step),
            rtol=1e-4,
            atol=1e-6 * np.abs(by_hand).max(),
        )


def test_derivatives_backwards_are_those_forwards(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    study = read(path)
    arm, names, count = study.arms[0], ("ec50", "steepness", "clearance"), 70  # more than one block
    values, engine = study.population.draw(0, count), engines.of(study, study.arms[0])
    given = study.twin, arm.policy, study.plan, study.seed, engine.everywhere(), names
    forwards = slopes(*given)(np.arange(count), values)
    seen, backwards = gradients(*given, of=lambda recorded, folds: recorded["inr"][-1])(np.arange(count), values)
    assert backwards.shape == (count, 3)
    np.testing.assert_allclose(seen, forwards.lives.recorded["inr"][:, -1], rtol=1e-9)
    wanted = forwards.recorded["inr"][:, -1]
    np.testing.assert_allclose(backwards, wanted, rtol=1e-6, atol=1e-9 * np.abs(wanted).max())
    with pytest.raises(ValueError, match="is stiff, and has no derivatives by reverse mode"):
        gradients(*given[:4], engine._replace(tier="stiff"), names, lambda recorded, folds: 0.0)


def test_a_linear_twin_scales_with_its_clearance_and_volume(linear):
    # C(k CL, k V) = C(CL, V) / k, so by Euler the elasticities of both sum to -1 at every time.
    data = elasticities(linear)
    over = data["time_value"].sel(trace="concentration: high", time_measure="per 1 %")
    numbers = [str(name) for name in data["input"].values]
    middle = linear.population.patients(np.full((1, len(linear.population.inputs)), 0.5))
    lived = solver(linear.twin, linear.arms[1].policy, linear.plan, linear.seed, engines.of(linear, linear.arms[1]))(
        np.arange(1), middle
    )
    concentration = lived.recorded["concentration"][0]
    scaled = [name for name in numbers if "clearance" in name or "volume" in name]
    assert len(scaled) == 2
    sums = over.sel(input=scaled).sum("input").values[1:] / (0.01 * concentration[1:])
    np.testing.assert_allclose(sums, -1.0, rtol=1e-9)


def test_a_bound_by_derivatives_is_no_smaller_than_the_index(linear):
    # Nothing jumps in this twin: brute-force total indices of the concentration at 6 h must lie below.
    data = derivatives(linear, 1024)
    bound = data["time_value"].sel(trace="concentration: low", time_measure="ST at most", time=0.25)
    inputs = [str(name) for name in bound["input"].values if np.isfinite(bound.sel(input=name))]
    assert inputs
    rng = np.random.default_rng(5)
    population, count = linear.population, 8000
    names = [one.name for one in population.inputs]
    points, others = rng.random((2, count, len(names)))
    solve = solver(
        linear.twin, linear.arms[0].policy, linear.plan, linear.seed, engines.of(linear, linear.arms[0]), count
    )

    def at(points: np.ndarray) -> np.ndarray:
        return solve(np.arange(count), population.patients(points)).recorded["concentration"][:, 6]

    before = at(points)
    for name in inputs:
        moved = points.copy()
        moved[:, names.index(name)] = others[:, names.index(name)]
        total = ((at(moved) - before) ** 2).mean() / 2 / before.var()  # Jansen 1999
        # For a straight line both are equal; each is known to a few per cent from so many patients.
        assert total < float(bound.sel(input=name)) * 1.15


def test_what_has_no_derivative_is_refused_by_name(tmp_path, small_text):
    path = tmp_path / "study.yaml"
    path.write_text(small_text, encoding="utf-8")
    study = read(path)
    policy, plan, engine = study.arms[0].policy, study.plan, engines.of(study, study.arms[0])
    with pytest.raises(ValueError, match="'cyp2c9' has levels, and no derivative; leave it out"):
        slopes(study.twin, policy, plan, study.seed, engine, ("cyp2c9",))
    with pytest.raises(ValueError, match="'mass' is no number of twin"):
        slopes(study.twin, policy, plan, study.seed, engine, ("mass",))


def test_a_study_without_a_smooth_endpoint_is_refused(tmp_path):
    path = tmp_path / "study.yaml"
    text = THEOPHYLLINE.replace(
        "time in range: concentration, between: 5 to 15 mg/L", "ever: concentration, at least: 5 mg/L"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="no endpoint of the study has a derivative"):
        elasticities(read(path))
