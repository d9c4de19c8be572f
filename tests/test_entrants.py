"""The eligible of a study, by independent inputs."""

import dataclasses

import numpy as np
import pytest

from solvers.twin import Covariate, Twin
from trials.eligibility import criterion, eligible
from trials.entrants import entrants
from trials.study import Study, read


def studied(tmp_path, text: str, eligibility: str) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(text.replace("eligibility: [age >= 50 years]", f"eligibility: {eligibility}"), encoding="utf-8")
    return read(path)


def at_random(study: Study, count: int = 20_000) -> dict[str, np.ndarray]:
    """Values of eligible patients at uniform inputs."""
    found = entrants(study)
    inputs = np.random.default_rng(1).random((count, len(found.inputs)))
    return study.population.patients(found.points(inputs, len(study.population.inputs)))


@pytest.mark.parametrize(
    "eligibility",
    ["[age >= 50 years]", "[age >= 50 years, weight < 70 kg]", "[cyp2c9 in *1*2, age < 40 years]", "[sex is female]"],
)
def test_the_eligible_are_distributed_as_among_the_candidates(tmp_path, small_text, eligibility):
    if "cyp2c9 in" in eligibility:
        eligibility = '["cyp2c9 in *1*2, *1*3", age < 40 years]'
    study = studied(tmp_path, small_text, eligibility)
    values = at_random(study)
    assert eligible(study.criteria, values).all()
    candidates = study.population.draw(0, 2**17)
    entering = eligible(study.criteria, candidates)
    assert entering.sum() > 5000
    read_of = {one.name for one in entrants(study).inputs}
    assert {"age", "clearance"} <= read_of
    for name in ("age", "sex", "clearance", "cyp2c9"):
        ours, theirs = values[name], candidates[name][entering]
        error = (ours.var() / len(ours) + theirs.var() / len(theirs)) ** 0.5
        assert abs(ours.mean() - theirs.mean()) < 4.5 * error + 1e-12, name
        assert ours.std() == pytest.approx(theirs.std(), rel=0.03), name
    ours = np.corrcoef(values["sex"], values["age"])[0, 1] if values["sex"].std() else 0.0
    theirs = np.corrcoef(candidates["sex"][entering], candidates["age"][entering])[0, 1] if values["sex"].std() else 0
    assert ours == pytest.approx(theirs, abs=0.03)


def test_inputs_that_nothing_reads_are_left_out_by_name(tmp_path, small_text):
    found = entrants(studied(tmp_path, small_text, "[age >= 50 years]"))
    names = [one.name for one in found.inputs]
    assert names[:4] == ["sex", "age", "cyp2c9", "vkorc1"]
    assert "weight" in found.idle and "weight" not in names
    heavier = entrants(studied(tmp_path, small_text, "[age >= 50 years, weight < 90 kg]"))
    assert "weight" in heavier.idle  # read by eligibility alone: filled in, not varied
    assert [one.name for one in heavier.inputs] == names
    assert found.share == pytest.approx(0.435, abs=0.01)  # of the candidates: trialtwin check


def test_shares_of_levels_are_those_among_the_eligible(tmp_path, small_text):
    study = studied(tmp_path, small_text, "[age >= 50 years]")
    sex = entrants(study).inputs[0]
    candidates = study.population.draw(0, 2**16)
    entering = eligible(study.criteria, candidates)
    assert sex.shares[1] == pytest.approx(candidates["sex"][entering].mean(), abs=0.01)


def test_without_criteria_inputs_are_the_points_themselves(tmp_path, small_text):
    study = studied(tmp_path, small_text, "[]")
    found = entrants(study)
    assert found.narrowed == ()
    inputs = np.random.default_rng(2).random((5, len(found.inputs)))
    points = found.points(inputs, len(study.population.inputs))
    np.testing.assert_array_equal(points[:, found.places], inputs)


def test_a_late_criterion_does_not_put_effects_down_to_other_inputs(tmp_path, small_text):
    # hba1c hangs on eleven inputs before it; of those the twin reads sex and age alone.
    study = studied(tmp_path, small_text, "[hba1c >= 6.5 %]")
    found = entrants(study)
    names = [one.name for one in found.inputs]
    assert names[:2] == ["sex", "age"] and "heart_rate" in found.idle
    rng = np.random.default_rng(3)
    one, other = rng.random((2, 4096, len(names)))
    dimensions = len(study.population.inputs)
    before = study.population.patients(found.points(one, dimensions))["age"]
    for i, name in enumerate(names):
        moved = one.copy()
        moved[:, i] = other[:, i]
        after = study.population.patients(found.points(moved, dimensions))["age"]
        total = ((after - before) ** 2).mean() / 2 / before.var()  # Jansen 1999
        assert (total > 0.5) if name == "age" else (total < 0.05 if name == "sex" else total == 0.0), name


def test_a_layout_too_coarse_to_tell_inputs_apart_tells_them_as_one(tmp_path, small_text):
    study = studied(tmp_path, small_text, "[age >= 50 years]")
    found = entrants(
        dataclasses.replace(
            study,
            twin=reading(study, ("weight", "height", "waist")),
            criteria=(criterion("waist >= 80 cm", study.population.variables),),
        )
    )
    groups = {one.name: one.group for one in found.inputs}
    assert {groups[name] for name in ("sex", "age", "height", "weight", "waist")} == {"who is eligible"}
    assert groups["ec50"] == "ec50"


def reading(study: Study, names: tuple[str, ...]) -> Twin:
    """The study's twin with further covariates that it reads."""
    variables = {variable.name: variable for variable in study.population.variables}
    more = tuple(
        Covariate(name, variables[name].unit, variables[name].typical, variables[name].source, "published")
        for name in names
    )
    return study.twin._replace(covariates=(*study.twin.covariates, *more))


def test_a_single_level_is_no_input(tmp_path, small_text):
    found = entrants(studied(tmp_path, small_text, "[sex is female]"))
    assert "sex" in found.idle and "sex" not in [one.name for one in found.inputs]
    some = entrants(studied(tmp_path, small_text, '["cyp2c9 in *1*2, *3*3"]'))
    genotype = next(one for one in some.inputs if one.name == "cyp2c9")
    assert genotype.levels == ("*1*2", "*3*3")
    assert genotype.shares[0] == pytest.approx(0.173 / (0.173 + 0.013), abs=0.01)  # Hamberg 2007


def test_criteria_that_hardly_anyone_meets_are_refused(tmp_path, small_text):
    study = studied(tmp_path, small_text, "[age >= 79 years, weight < 30 kg]")
    with pytest.raises(ValueError, match="too few for inputs of their own; widen the criteria"):
        entrants(study)
