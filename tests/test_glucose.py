"""The glucose twin against simglucose, against itself solved exactly, and what is chance in it."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from populations import type1
from populations.population import Recipe, build
from populations.reference import LIBRARY
from solvers import twins
from solvers.explicit import march
from solvers.pairs import TSITOURAS
from solvers.reference import reference as exact
from solvers.twin import named
from solvers.twins.glucose import FITTED, adults, meal, sensor, subject, symbols

TWIN = twins.load("glucose")
MEALS = {420: 45.0, 720: 70.0, 960: 15.0, 1080: 80.0, 1380: 10.0}  # min: g, simglucose's day
STATES = named("State", list(subject.STATES))


def published(shared, name):
    """The symbols of a published patient with his carbohydrate ratio, and his row of the table."""

    def row(file, key):
        with (shared / "data" / file).open(encoding="utf-8") as table:
            return next(row for row in csv.DictReader(table) if row[key] == name)

    found = row("simglucose_vpatient_params.csv", "Name")
    values = {symbol: float(found[symbol]) for symbol in FITTED}
    values |= {"weight": float(found["BW"]), "basal_rate": float(found["u2ss"]) * float(found["BW"]) / 100.0}
    given = named("Subject", list(values))(**values)
    values |= {key: float(value) for key, value in subject.basal(given).items()}
    values["ratio"] = float(row("simglucose_Quest.csv", "Name")["CR"])
    return values, found


def simglucose_day(minutes, meals):
    """Eaten [mg/min] in each minute, at 5 g/min, and whether a meal begins there."""
    planned, eaten, begins = 0.0, np.zeros(minutes), np.zeros(minutes, bool)
    for minute in range(minutes):
        planned += meals.get(minute, 0.0)
        eaten[minute] = 1000.0 * min(5.0, planned)
        begins[minute] = eaten[minute] > 0 and (minute == 0 or eaten[minute - 1] == 0)
        planned -= eaten[minute] / 1000.0
    return eaten, begins


@jax.jit
def whole_day(p, eaten, begins, infused):
    """States at every minute, simglucose's way: what is eaten and infused is constant within each, and so is the meal,
    which counts the minute that begins."""

    def minute(carry, now):
        y, kept, since = carry
        d, begun, u = now
        kept = jnp.where(begun, y.stomach_solid + y.stomach_liquid, kept)
        since = jnp.where(begun, 0.0, since) + d

        def field(t, y, p):
            return STATES(**subject.slopes(y, d, u, subject.emptying(y, kept + since, p), 1.0, p))

        after, _ = march(TSITOURAS, field, y, p, 0.0, 1.0, 1, 0, [1.0] * len(y))
        return (after, kept, since), y

    start = STATES(**{name: jnp.asarray(value, float) for name, value in subject.at_rest(p).items()})
    return jax.lax.scan(minute, (start, 0.0, 0.0), (eaten, begins, infused))[1]


def simulated(shared, name, minutes, bolus=True):
    values, _ = published(shared, name)
    p = named("Published", list(values))(**values)
    eaten, begins = simglucose_day(minutes, MEALS if bolus else {})
    units = np.full(minutes, p.basal_rate / 60.0)
    for minute, grams in MEALS.items():
        if bolus and minute < minutes:
            units[minute] += grams / p.ratio  # the reference corrects nothing, above 150 mg/dL neither
    return p, whole_day(p, eaten, begins, units * subject.PMOL / p.weight)


def reference(shared, file):
    table = np.genfromtxt(shared / "reference/simglucose" / file, delimiter=",", names=True)
    assert len(table) == 1441
    return table


@pytest.mark.parametrize(
    ("name", "file", "meals"),
    [
        ("adult#001", "simglucose_adult_001_5meals_basalbolus_24h.csv", True),
        ("adult#001", "simglucose_adult_001_basalonly_24h.csv", False),
        ("child#001", "simglucose_child_001_5meals_basalbolus_24h.csv", True),
    ],
)
def test_a_day_is_that_of_simglucose(shared, name, file, meals):
    table = reference(shared, file)
    values, _ = published(shared, name)
    p = named("Published", list(values))(**values)
    eaten, begins = simglucose_day(1441, MEALS if meals else {})
    infused = table["insulin_U_per_min"] * subject.PMOL / p.weight
    y = whole_day(p, eaten, begins, infused)
    assert np.abs(y.interstitial_glucose / p.Vg - table["Gsub_mgdl"]).max() < 0.05
    assert np.abs(y.plasma_glucose / p.Vg - table["Gplasma_mgdl"]).max() < 0.05
    assert np.abs(y.plasma_insulin / p.Vi - table["Iplasma_pmolL"]).max() < 0.05


def test_the_ten_adults_have_the_days_of_simglucose(shared):
    path = shared / "reference/simglucose/simglucose_10adults_basalbolus_day_stats.csv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 10
    shares = []
    for row in rows:
        p, y = simulated(shared, row["name"], 1441)
        glucose = np.asarray(y.interstitial_glucose / p.Vg)
        assert p.basal_rate == pytest.approx(float(row["basal_U_per_h"]), rel=1e-9)
        assert p.ratio == float(row["CR_g_per_U"])
        # 0.02: simglucose's own integration is that exact, adult#007 at his lowest
        assert glucose.mean() == pytest.approx(float(row["mean"]), abs=0.02)
        assert glucose.min() == pytest.approx(float(row["min"]), abs=0.02)
        assert glucose.max() == pytest.approx(float(row["max"]), abs=0.02)
        shares.append(100.0 * ((glucose >= 70.0) & (glucose <= 180.0)).mean())
        # One minute of 1,441 is 0.07 %: a minute near 180 may fall on either side.
        assert shares[-1] == pytest.approx(float(row["TIR70_180_pct"]), abs=0.08)
    assert np.mean(shares) == pytest.approx(96.3, abs=0.1)  # the science page


def test_the_basal_state_is_that_of_the_table(shared):
    for name in ("adult#001", "adult#009", "child#001", "adolescent#003"):
        values, found = published(shared, name)
        for symbol in ("u2ss", "m4", "m30", "Ipb", "Ib", "Ilb", "Gpb", "Gtb", "Vm0", "kp1"):
            # The table prints m4 with ten digits, adolescent#003 with less.
            assert values[symbol] == pytest.approx(float(found[symbol]), rel=1e-6), (name, symbol)


def typical(**changes):
    """A typical patient without chance but in his key."""
    still = {"meal_size_sd": 0.0, "meal_time_sd": 0.0, "counting_sd": 0.0, "missed_bolus": 0.0}
    still |= {"sensitivity_sd": 0.0, "dawn": 0.0}
    return TWIN.namespace(TWIN.typical() | still | changes)


def test_a_fasting_patient_at_his_basal_rate_stays_where_he_is():
    p = typical()
    y = TWIN.initial(p)
    rest = subject.slopes(y, 0.0, p.u2ss, subject.emptying(y, 0.0, p), 1.0, p)
    assert max(abs(float(slope)) for slope in rest.values()) < 1e-12


@jax.jit
def lived(p, dose):
    """States of a day on 5 min ticks of 16 steps, with a pulse of insulin in each."""

    def tick(y, number):
        acted = TWIN.ode.jump(y, TWIN.action(insulin=dose), p)
        after, _ = march(TSITOURAS, TWIN.ode.field, acted, p, number / 12.0, 1.0 / 12.0, 16, 0, [1.0] * len(y))
        return after, after

    return jax.lax.scan(tick, TWIN.initial(p), jnp.arange(288.0))[1]


def test_a_day_on_ticks_is_that_of_the_exact_solver():
    p = typical(chance=0.3, dawn=0.15, meal_time_sd=0.5, sensitivity_sd=0.29)
    days = lived(p, p.basal_rate / 12.0)
    for tick in (91, 150, 230):
        y = type(days)(*(leaf[tick - 1] for leaf in days))
        acted = TWIN.ode.jump(y, TWIN.action(insulin=p.basal_rate / 12.0), p)
        end = exact(TWIN.ode.field, acted, p, tick / 12.0, 1.0 / 12.0)
        for one, leaf in zip(end, days, strict=True):
            assert float(one) == pytest.approx(float(leaf[tick]), rel=1e-6, abs=1e-6)


def test_what_is_eaten_is_what_a_meal_weighs():
    p = typical()
    times = jnp.arange(0.0, 24.0, 1.0 / 60.0) + 1.0 / 120.0
    rate = jax.vmap(lambda t: meal.now(t, p.meals).rate)(times)
    assert float(rate.sum() / 60.0) == pytest.approx(1000.0 * 220.0, rel=1e-4)  # mid-points of minutes
    assert float(rate.max()) <= 1000.0 * 60.0 * 5.0  # 5 g/min
    counted = [float(meal.now(t, p.meals).counted) for t in (6.99, 7.0, 11.99, 12.0, 23.5)]
    assert counted == pytest.approx([0.0, 45.0, 45.0, 115.0, 220.0])


def test_a_meal_empties_as_one_that_is_followed_by_hand():
    """The two states that take turns against a D that is set at the meal's start and then counts what is eaten."""
    p = typical()
    turns = lived(p, p.basal_rate / 12.0)

    def tick(carry, number):
        y, kept, began = carry
        starts = jnp.any(jnp.abs(p.meals.start[1:] - number / 12.0) < 1e-6)
        kept = jnp.where(starts, y.stomach_solid + y.stomach_liquid, kept)
        began = jnp.where(starts, y.stomach_solid * 0.0, began)
        y = y._replace(depot1=y.depot1 + subject.PMOL * p.basal_rate / 12.0 / p.weight)

        def field(t, state, p):
            now, D = STATES(*state[:-1]), kept + state[-1]
            d = meal.now(t / 60.0, p.meals).rate / 60.0
            return (*STATES(**subject.slopes(now, d, 0.0, subject.emptying(now, D, p), 1.0, p)), d)

        after, _ = march(TSITOURAS, field, (*y, began), p, number * 5.0, 5.0, 16, 0, [1.0] * 14)
        y = STATES(*after[:-1])
        return (y, kept, after[-1]), y

    start = STATES(**{name: jnp.asarray(value, float) for name, value in subject.at_rest(p).items()})
    by_hand = jax.jit(lambda: jax.lax.scan(tick, (start, 0.0, jnp.zeros(())), jnp.arange(288.0))[1])()
    rise = np.ptp(by_hand.plasma_glucose) / p.Vg
    assert rise > 100.0  # no bolus was given
    # The turn passes in five minutes rather than at once, which moves a steep rise by seconds.
    assert np.abs(by_hand.plasma_glucose - turns.plasma_glucose).max() / p.Vg < 2.0


def test_the_sensor_errs_as_its_source_says():
    keys = jax.random.split(jax.random.key(1), 64)
    error = np.asarray(jax.vmap(sensor.errors)(keys))
    e = sensor.GAMMA + sensor.DELTA * np.arcsinh((error - sensor.XI) / sensor.LAMBDA)
    # AR(1) with coefficient 0.7 and innovations of SD 0.7; 64 x 2,688 draws
    assert e.std() == pytest.approx(0.7 / (1 - 0.49) ** 0.5, rel=0.01)
    assert np.corrcoef(e[:, :-1].ravel(), e[:, 1:].ravel())[0, 1] == pytest.approx(0.7, abs=0.01)
    assert np.abs(e.mean()) < 0.02
    knot = sensor.reading(120.0, 10.25, jnp.asarray(error[0]))
    assert float(knot) == pytest.approx(120.0 + error[0, 41], abs=1e-9)
    assert float(sensor.reading(-500.0, 1.0, jnp.asarray(error[0]))) == 39.0


def test_chance_is_the_patients_own_and_nothing_else():
    first, again, other = (TWIN.namespace(TWIN.typical() | {"chance": c}) for c in (0.1, 0.1, 0.2))
    assert np.array_equal(first.sensor_error, again.sensor_error)
    assert np.array_equal(first.meals.start, again.meals.start)
    assert not np.array_equal(first.sensor_error, other.sensor_error)
    assert abs(np.corrcoef(first.sensor_error, other.sensor_error)[0, 1]) < 0.1
    assert float(first.Vmx) == float(other.Vmx)


def test_meals_keep_their_order_and_lie_on_the_grid():
    for chance in np.linspace(-3.0, 3.0, 20):
        start = np.asarray(TWIN.namespace(TWIN.typical() | {"chance": chance, "meal_time_sd": 3.0}).meals.start)
        assert np.diff(start).min() > 0.4
        assert np.abs(start * 12.0 - np.round(start * 12.0)).max() < 1e-9


def test_sensitivity_has_the_spread_that_is_asked_for():
    p = TWIN.namespace(TWIN.typical() | {"dawn": 0.0, "sensitivity_sd": 0.3, "chance": 0.7})
    midnights = np.log(np.asarray(p.sensitivities)[::8])
    assert midnights.std() == pytest.approx(0.3, rel=0.45)  # 29 draws: the SD has a standard error of 13 %
    still = TWIN.namespace(TWIN.typical() | {"dawn": 0.0, "sensitivity_sd": 0.0, "sensitivity": 0.8})
    np.testing.assert_allclose(still.sensitivities, 0.8, rtol=1e-12)


def test_the_typical_patient_has_the_medians_of_the_adults():
    p = TWIN.namespace(TWIN.typical())
    for i, name in enumerate(adults.NAMES):
        if name in FITTED:
            median = np.exp(adults.MEANS[i])
            assert float(getattr(p, name)) == pytest.approx(median / (1 + median) if name in "bd" else median, rel=1e-9)


@pytest.fixture(scope="module")
def synthetic():
    """Symbols of 4,096 synthetic adults, and what a clinic knows of them."""
    values = build(TWIN, Recipe("type-1-adults", "sobol", 3)).draw(0, 4096)
    names = [parameter.name for parameter in TWIN.parameters] + [covariate.name for covariate in TWIN.covariates]
    given = named("Given", names)(**{name: values[name] for name in names})
    return {name: np.asarray(each) for name, each in symbols(given).items()} | {
        name: values[name] for name in adults.NAMES if name in values
    }


def test_synthetic_adults_have_the_spread_of_the_ten(synthetic):
    for i, name in enumerate(adults.NAMES):
        score = np.log(synthetic[name] / (1 - synthetic[name])) if name in ("b", "d") else np.log(synthetic[name])
        # A normal cut at 2 SDs has 0.96 of its SD.
        assert score.std() == pytest.approx(0.96 * adults.SDS[i], rel=0.05), name
        assert score.mean() == pytest.approx(adults.MEANS[i], abs=0.1 * adults.SDS[i]), name


def test_synthetic_adults_have_the_shrunk_correlations(synthetic, shared):
    fitted = type1.fit(shared / "data")
    places = [fitted.names.index(name) for name in adults.NAMES]
    scores = np.stack(
        [np.log(synthetic[name] / (1 - synthetic[name]) if name in "bd" else synthetic[name]) for name in adults.NAMES]
    )
    wanted = fitted.correlations[np.ix_(places, places)]
    # Scores beyond 2 SDs are cut, which weakens them a little.
    assert np.abs(np.corrcoef(scores) - wanted).max() < 0.06


def test_the_fit_gives_the_files_that_are_kept(shared):
    fitted = type1.fit(shared / "data")
    assert type1.library(fitted) == (LIBRARY / "type-1-adults.yaml").read_text(encoding="utf-8")
    made = {}
    exec(type1.adults(fitted), made)
    for name in ("NAMES", "MEANS", "SDS", "OPEN", "WEIGHTS"):
        assert made[name] == getattr(adults, name)
