"""The virtual heart as a twin: from what a clinic has to what it sees, and what becomes of hearts that are none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dashboards import portraits
from solvers import twins
from solvers.couple import composed
from solvers.coupling import Coupling
from solvers.status import Status
from solvers.twins.virtual_heart import life
from solvers.twins.virtual_heart.observed import LARGEST
from solvers.twins.virtual_heart.patient import LBBB

WIDE = 256  # hearts drawn wide, beside the others

# Of healthy adults. Volumes, fraction and strain: Lang 2015, middle +- 2 SD of both sexes; the others as the guidelines
# of their measurement have them.
NORMAL = {
    "end_diastolic_volume": (46.0, 150.0),
    "end_systolic_volume": (14.0, 61.0),
    "ejection_fraction": (52.0, 74.0),
    "cardiac_output": (4.0, 8.0),
    "systolic_pressure": (100.0, 140.0),
    "diastolic_pressure": (60.0, 90.0),
    "lvedp": (4.0, 14.0),
    "left_atrial_pressure": (4.0, 12.0),
    "right_atrial_pressure": (0.0, 6.0),
    "pulmonary_pressure": (8.0, 20.0),
    "dp_dt_max": (800.0, 2000.0),
    "qrs_duration": (60.0, 110.0),
    "lv_activation_time": (30.0, 55.0),
    "ejection_time": (220.0, 340.0),
}


@pytest.fixture(scope="module")
def twin():
    return twins.load("virtual-heart")


@pytest.fixture(scope="module")
def lived(twin):
    """Baselines, and a tick untreated, of: the typical patient, the same with LBBB, one with a large thin heart, one
    with a stiff one, one with scar; then of hearts drawn wide."""
    values = {name: np.full(5 + WIDE, value) for name, value in twin.typical().items()}
    values["conduction"][1] = LBBB
    values["lvidd"][2], values["contractility"][2] = 6.2, 90.0
    values["lv_stiffness"][3] = 3.0
    for name in ("scar_basal_inferolateral", "scar_mid_inferolateral"):
        values[name][4] = 0.9
    rng = np.random.default_rng(4)
    for one in twin.parameters:
        values[one.name][5:] = one.typical * rng.uniform(0.5, 1.5, WIDE)

    def both(given):
        p = twin.namespace(given)
        start = twin.initial(p)
        return start, twin.advance(start, p, twin.action(), 0.0, 12.0)

    return jax.tree.map(np.asarray, jax.jit(jax.vmap(both))(values))


@pytest.mark.parametrize("name", NORMAL)
def test_the_typical_patient_is_normal(lived, name):
    low, high = NORMAL[name]
    assert low <= lived[0].seen[name][0] <= high


def test_an_untreated_tick_leaves_the_typical_heart_as_it_was(lived):
    before, after = lived
    assert before.trouble[0] == after.trouble[0] == Status.OK
    for name in NORMAL:
        # The baroreflex holds its own mean pressure, which the homeostat brought to within 1e-4.
        assert after.seen[name][0] == pytest.approx(before.seen[name][0], rel=0.02), name


def test_blood_is_kept_without_therapy(lived):
    before, after = lived
    blood = after.row[:5] @ np.asarray(life.BLOOD)
    np.testing.assert_allclose(blood, before.blood[:5], rtol=1e-12)


def test_lbbb_is_late_on_the_left_and_pumps_worse(lived):
    seen = {name: value[:2] for name, value in lived[0].seen.items()}
    assert seen["qrs_duration"][1] > seen["qrs_duration"][0] + 40.0
    assert 60.0 < seen["lv_activation_time"][1] < 130.0
    assert seen["dp_dt_max"][1] < 0.97 * seen["dp_dt_max"][0]
    assert seen["septal_flash"][1] > seen["septal_flash"][0]
    assert seen["septal_rebound"][1] > seen["septal_rebound"][0]


def test_a_large_heart_holds_more_and_ejects_a_smaller_share(lived):
    seen = lived[0].seen
    assert seen["end_diastolic_volume"][2] > seen["end_diastolic_volume"][0] + 40.0
    assert seen["ejection_fraction"][2] < seen["ejection_fraction"][0] - 8.0


def test_a_stiff_heart_fills_at_a_higher_pressure(lived):
    seen = lived[0].seen
    for name in ("lvedp", "left_atrial_pressure", "pulmonary_pressure"):
        assert seen[name][3] > seen[name][0] + 1.0, name


def test_scar_weakens_and_is_made_up_for_by_volume(lived):
    seen = lived[0].seen
    assert seen["ejection_fraction"][4] < seen["ejection_fraction"][0] - 1.0
    assert seen["lateral_strain"][4] > seen["lateral_strain"][0]
    assert seen["mean_pressure"][4] == pytest.approx(seen["mean_pressure"][0], abs=0.1)  # the homeostat keeps it


def test_hearts_drawn_wide_are_sound_or_say_why(twin, lived):
    start = lived[0]
    status = start.trouble[5:]
    finite = np.isfinite(start.row).all(1) & np.isfinite(np.stack(list(start.seen.values()))).all(0)
    assert finite[5:][status != Status.NOT_FINITE].all()
    assert (status == Status.NOT_FINITE).sum() <= WIDE // 1000
    told = (Status.OK, Status.OUT_OF_BOUNDS, Status.UNSETTLED, Status.OUT_OF_SHAPE, Status.UNREACHED)
    assert set(np.unique(status)) <= {int(each) for each in (*told, Status.NOT_FINITE)}
    assert (status == Status.UNREACHED).sum() > 0
    assert (status == Status.OK).sum() > WIDE // 10
    assert (status != Status.OK).sum() > 0
    large = start.seen["end_diastolic_volume"][5:] > LARGEST * 1e6
    assert (status[large] != Status.OK).all()


def test_a_patient_depends_on_no_neighbour(twin, lived):
    values = {name: np.full(3, value) for name, value in twin.typical().items()}
    values["conduction"][2] = LBBB
    values["lvidd"][1] = np.nan

    def start(given):
        return twin.initial(twin.namespace(given)).row

    rows = jax.jit(jax.vmap(start))(values)
    order = jax.jit(jax.vmap(start))({name: value[::-1] for name, value in values.items()})
    np.testing.assert_array_equal(rows[0], order[2])
    np.testing.assert_array_equal(rows[2], order[0])
    assert not np.isfinite(rows[1]).all()
    assert np.isfinite(rows[0]).all()
    np.testing.assert_allclose(rows[0], lived[0].row[0], rtol=1e-6, atol=1e-9)


def test_a_beat_can_be_probed(twin):
    p = twin.namespace(twin.typical())

    def wave():
        y = twin.advance(twin.initial(p), p, twin.action(), 0.0, 12.0)
        waves, activation, _ = twin.probe(y, p, twin.action())
        return waves, activation.qrs, y.seen

    waves, qrs, seen = jax.jit(wave)()
    assert waves["V_LV"].shape == waves["time"].shape == (life.BEAT.n_step,)
    assert 1e6 * waves["V_LV"].max() == pytest.approx(float(seen["end_diastolic_volume"]), rel=1e-6)
    assert waves["p_aorta"].max() / 133.322 == pytest.approx(float(seen["systolic_pressure"]), rel=1e-6)
    assert 1e3 * qrs == pytest.approx(float(seen["qrs_duration"]))
    assert float(jnp.ptp(waves["ls_L1"])) > 0.1


def test_a_drug_reaches_the_heart(twin):
    """Theophylline raises the heart's rate, by the sigmoid of its concentration; without a reflex nothing else does."""
    coupling = Coupling(
        *("drug", "concentration", "heart", "resting_heart_rate"),
        **{"emax": 0.4, "ec50": 12.0, "unit": "mg/L", "hill": 1.0, "source": "a test", "evidence": "assumed"},
    )
    both = composed("both", {"drug": twins.load("theophylline"), "heart": twin}, [coupling])
    dose = np.array([0.0, 500.0, 2000.0])
    values = {name: np.full(3, value) for name, value in both.typical().items()} | {"baroreflex_gain": np.zeros(3)}

    def treated(given, amount):
        p = both.namespace(given)
        y = both.advance(both.initial(p), p, both.action(dose=amount), 0.0, 4.0)
        return both.observe(y, p, 4.0), both.trouble(y, p), both.probe(y, p, both.action(dose=0.0))

    seen, trouble, probed = jax.jit(jax.vmap(treated))(values, dose)
    c = np.asarray(seen["concentration"])
    assert (np.diff(c) > 5.0).all()
    expected = both.typical()["resting_heart_rate"] * (1.0 + 0.4 * c / (12.0 + c))
    np.testing.assert_allclose(seen["heart_rate"], expected, rtol=1e-9)
    # A faster heart fills for a shorter time.
    for name in ("filling_time", "end_diastolic_volume", "stroke_volume"):
        assert (np.diff(seen[name]) < 0.0).all(), name
    assert (np.asarray(trouble) == Status.OK).all()
    # Its pictures are of the heart as the drug makes it.
    assert set(probed) == {"heart"}
    for i in (0, 2):
        beat = portraits.portrait(both).see(jax.tree.map(lambda each, i=i: each[i], jax.device_get(probed)))
        np.testing.assert_allclose(6e4 / beat.cycle, seen["heart_rate"][i], rtol=1e-6)
        assert np.ptp(beat.volume["LV"]) == pytest.approx(float(seen["stroke_volume"][i]), rel=0.01)
