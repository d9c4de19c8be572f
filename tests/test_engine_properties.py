"""What simulated trials must show: gains from shared lives, twins and clusters, and bands of rates."""

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.sizes import clusters, means, simulation

TOPIC = "engine_properties"


def answers(inputs):
    """What a case asks, by name."""
    if "rho" in inputs:
        asked = {key: inputs[key] for key in ("power", "sd")}
        plain, *adjusted = (
            means.two_means(
                inputs["delta"], alpha=inputs["alpha_one_sided"], sided=1, normal=True, correlation=rho, **asked
            ).arms[0]
            for rho in (0.0, *inputs["rho"])
        )
        reduction = [1 - n / plain for n in adjusted]
        return {"n_per_arm_unadjusted": plain, "n_per_arm_adjusted": adjusted, "reduction": reduction}
    if "icc" in inputs:
        equal, unequal = (clusters.design_effect(inputs["m"], inputs["icc"], cv) for cv in (0.0, inputs["cv"]))
        return {"deff_equal": equal, "deff_unequal": unequal}
    if "nsim" in inputs:
        bands = [simulation.band(n, inputs["p"]) for n in inputs["nsim"]]
        return {"lo": [low for low, _ in bands], "hi": [high for _, high in bands]}
    found = simulation.shared_lives(inputs["s1"], inputs["s0"], inputs["r"], inputs["n"])
    return {"var_twin": found.together, "var_indep": found.apart, "efficiency_ratio": found.efficiency}


def test_every_case_of_known_answers(case, agrees):
    tolerance = case["tolerance"].get("rel", 0.0)
    agrees(answers(case["inputs"]), case["expected"], lambda path: {"rel": tolerance, "abs": 0})


def test_shared_lives_gain_what_they_should():
    rng = np.random.default_rng(4)
    lives = rng.multivariate_normal([0, 0], [[1.0, 0.9], [0.9, 2.25]], (20000, 10))
    together = (lives[..., 1] - lives[..., 0]).mean(-1).var()
    assert together == pytest.approx(simulation.shared_lives(1.5, 1.0, 0.6, 10).together, rel=4 * np.sqrt(2 / 20000))
    assert simulation.shared_lives(1.0, 1.0, 1.0, 10).efficiency == np.inf


def test_a_band_leaves_its_tails():
    low, high = simulation.band(500, 0.1, 0.01)
    law = stats.binom(500, 0.1)
    assert law.cdf(low * 500 - 1) < 0.01 <= law.cdf(low * 500)
    assert law.cdf(high * 500 - 1) < 0.99 <= law.cdf(high * 500)


def test_clusters_cost_what_their_correlation_makes():
    rng = np.random.default_rng(5)
    sizes = np.array([5, 10, 15, 30])
    outcomes = [rng.normal(0, 0.3, (20000, 1)) + rng.normal(0, np.sqrt(0.91), (20000, n)) for n in sizes]
    variance = np.concatenate(outcomes, -1).mean(-1).var()
    expected = clusters.design_effect(sizes.mean(), 0.09, sizes.std() / sizes.mean()) / sizes.sum()
    assert variance == pytest.approx(expected, rel=4 * np.sqrt(2 / 20000))


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: simulation.shared_lives(1, 1, 2, 9), "correlation is 2; give one from -1 to 1"),
        (lambda: simulation.shared_lives(1, 0, 0.5, 9), "sd_b is 0; give a positive number"),
        (lambda: simulation.band(100, 1.5), "rate is 1.5; give a share between 0 and 1"),
    ],
)
def test_a_wrong_call_is_refused_in_a_sentence(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()
