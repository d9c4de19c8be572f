"""The study file: what it means, what is filled in, and what is refused where."""

import re
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dashboards import cli
from trials import document, feasibility, policies
from trials.study import read, study


def parsed(text, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path)


def refusal(text, tmp_path):
    with pytest.raises(ValueError) as caught:
        feasibility.check(parsed(text, tmp_path))
    return str(caught.value).removeprefix(f"{tmp_path}/")


def test_the_demonstration_study_means_what_it_says(small_text, tmp_path):
    plan = parsed(small_text, tmp_path)
    assert plan.twin.name == "warfarin-inr"
    assert (plan.plan.tick, plan.plan.ticks) == (12.0, 168)
    assert plan.visit_days.tolist() == [0, 3, 5, 7, 14, 28, 56, 84]
    assert plan.record_days.tolist() == list(range(85))
    assert plan.plan.taken == pytest.approx(0.95)
    assert plan.contrast == ("genotype", "fixed")
    assert plan.trial.allocation == (1, 1)
    assert plan.endpoints[0].between == (2.0, 3.0)
    # 10 % per year as a hazard: -log(0.9) a year
    assert plan.trial.dropout * 365.25 == pytest.approx(0.1053605, rel=1e-6)


def test_the_text_as_run_reads_back_as_the_same_study(small_text, tmp_path):
    plan = parsed(small_text, tmp_path)
    again = study(document.parse(plan.text, "again.yaml"), tmp_path)
    assert again.text == plan.text
    assert "titrate after: 5 days" in plan.text and "reads: first" in plan.text
    assert again.plan._replace(folds=()) == plan.plan._replace(folds=())


def test_scalars_are_text_whatever_they_look_like(tmp_path):
    tree = document.parse("a: no\nb: 1:1\nc: 12:30\nd: 0x10\n", "t.yaml").tree
    assert tree == {"a": "no", "b": "1:1", "c": "12:30", "d": "0x10"}
    assert document.parse(document.write(tree), "t.yaml").tree == tree


REFUSALS = [
    # (what stands there, what to put instead, words of the sentence[, what stands on the line it names])
    ("sampling: sobol", "smapling: sobol", "unknown key 'population: smapling'; write one of: reference"),
    ("tick: 12 h", "tick: 12", "tick: '12' has no unit"),
    ("tick: 12 h", "tick: 12 mg", "tick: unit 'mg' does not measure"),
    ("tick: 12 h", "tick: -12 h", "tick: '-12 h' is no length of time"),
    ("twin: warfarin-inr", "twin: warfarin", "twin 'warfarin' is unknown; write one of: glucose"),
    ("start: genotype", "start: genotyp", "arm 'genotype': start 'genotyp' is no dose and no rule"),
    ("start: 5 mg", "start: -5 mg", "arm 'fixed': start '-5 mg' is not possible"),
    ("start: 5 mg", "start: 5", "arm 'fixed': start '5' has no unit"),
    ("start: 5 mg", "start: 5 h", "arm 'fixed': start unit 'h' does not measure"),
    ("fixed:    {policy: titrated-oral", "fixed:    {policy: titrated", "policy 'titrated' is unknown"),
    (
        "every: 24 h, target: 2.0 to 3.0, from",
        "every: 7 h, target: 2.0 to 3.0, from",
        "every '7 h' is less than one tick",
    ),
    ("target: 2.0 to 3.0, from", "target: 3.0 to 2.0, from", "write the lower number first"),
    ("titrate after: 5 days", "titrate afterwards: 5 days", "unknown key 'titrate afterwards'"),
    ("0, 3, 5, 7, 14", "0, 3, 5.2, 7, 14", "visits: 124.8 h falls between ticks of 12 h"),
    ("0, 3, 5, 7, 14", "0, 5, 3, 7, 14", "visits: 72 h does not come after 120 h"),
    ("record: every 1 day", "record: every 7 h", "record: 7 h falls between ticks"),
    ("record: every 1 day", "record: daily", "record: 'daily' is no time"),
    ("age >= 50 years", "age >= 500 years", "none of 1,000 candidates is eligible"),
    ("age >= 50 years", "age >= 50 kg", "eligibility 'age >= 50 kg'"),
    ("age >= 50 years", "agee >= 50 years", "no covariate 'agee'"),
    ("age >= 50 years", "cyp2c9 is *9*9", "no level '*9*9'"),
    ("age >= 50 years", "age >= 79 years", "the trial needs 100 subjects and about", "trial:"),
    ("outcomes: [inr, dose]", "outcomes: [inr, dosage]", "outcome 'dosage' is unknown"),
    ("outcomes: [inr, dose]", "outcomes: [dose]", "outcome 'inr' is not recorded", "primary:"),
    ("time in range: inr", "time within: inr", "kind 'time within' is unknown"),
    ("at least: 60 %", "at least: 160 %", "is no share"),
    ("responder: primary", "responder: secondary", "'secondary' is no time in range above it"),
    ("at least: 4.0, until: 84 days", "at least: 4.0, until: 83 days", "until 83 days is no visit"),
    ("at least: 4.0, until: 84 days", "at least: 4.0 mg, until: 84 days", "does not measure"),
    ("primary: {time", "first: {time", "there is no endpoint 'primary'", "endpoints:"),
    ("taken: 95 %", "taken: 195 %", "adherence: taken: '195 %' is no share"),
    ("taken: 95 %", "taken: 95 %, late: -1 h", "adherence: late: '-1 h' is before the time"),
    ("taken: 95 %", "taken: 95 %, late: 1", "adherence: late: '1' has no unit"),
    ("taken: 95 %", "taken: 95 %, early: 1 h", "unknown key 'adherence: early'; write one of: taken, late"),
    (
        "adherence:",
        "before: {dose: 5 mg, every: 5 h}\nadherence:",
        "every '5 h' is less than one tick",
        "before:",
    ),
    ("adherence:", "before: {dose: 5, every: 24 h}\nadherence:", "before: dose '5' has no unit", "before:"),
    ("adherence:", "before: {dose: 5 mg}\nadherence:", "'before: every' is missing", "before:"),
    ("adherence:", "before: {dose: 5 mg, each: 24 h}\nadherence:", "write one of: dose, every, over", "before:"),
    (
        "adherence:",
        "before: {dose: 5 mg, every: 24 h, over: 1 h}\nadherence:",
        "twin 'warfarin-inr' has no action that can be infused",
        "before:",
    ),
    ("allocation: 1:1", "allocation: 1:1:1", "allocation has 3 parts and there are 2 arms"),
    ("block: 4", "block: 5", "block 5 does not hold whole allocations"),
    ("dropout: 10 % per year", "dropout: 10 %", "is no rate of loss"),
    ("accrual: 30 per month", "accrual: quickly", "is no accrual"),
    ("contrast: genotype - fixed", "contrast: genotype - placebo", "contrast 'genotype - placebo' is none"),
    ("alpha: 5 %", "alpha: 5", "is no share"),
    ("method: t-test", "method: z-test", "analysis: method 'z-test' is unknown"),
    ("age by 10 years", "age by 10 kg", "subgroup 'age by 10 kg'"),
    ("reference: us-adults", "reference: us-children", "us-children", "population:"),
    ("sampling: sobol", "sampling: quasi", "population: sampling 'quasi' is unknown"),
    ("size: 1000", "size: 1", "population: size: 1 is out of range"),
    ("seed: 20261122", "seed: now", "population: seed: 'now' is no whole number"),
    ("trial: {replicates", "trail: {replicates", "unknown key 'trail'"),
    ("title: Genotype", "study: Genotype", "key 'study' stands twice"),
    ("twin: warfarin-inr", 'twin: "war\\nfarin"', "twin 'war\\nfarin' is unknown"),
    ("start: 5 mg", "start: 5 mg**9**9**9", "is no unit"),
    ("draws: 4", "draws: 1", "tells no spread"),
    ("eligibility: [age", "eligibility: [[age", "not YAML", "tick: 12 h"),
    ("study: warfarin-genotype", "study: ../../etc", "is no short name"),
]


@pytest.mark.parametrize("case", REFUSALS, ids=[case[2][:40] for case in REFUSALS])
def test_what_is_wrong_is_refused_with_file_and_line(case, small_text, tmp_path):
    good, bad, words, *elsewhere = case
    assert good in small_text
    text = small_text.replace(good, bad, 1)
    sentence = refusal(text, tmp_path)
    assert words in sentence
    assert len(sentence.splitlines()) == 1
    match = re.match(r"study\.yaml:(\d+): ", sentence)
    assert match is not None
    assert (elsewhere or [bad])[0] in text.splitlines()[int(match[1]) - 1]


def test_a_line_number_is_the_line_of_the_fault(small_text, tmp_path):
    bad = small_text.replace("start: genotype", "start: genotyp")
    line = 1 + next(i for i, text in enumerate(bad.splitlines()) if "genotyp," in text)
    assert refusal(bad, tmp_path).startswith(f"study.yaml:{line}: arm 'genotype': start 'genotyp'")


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ValueError, match=r"nowhere\.yaml: cannot be read"):
        read(tmp_path / "nowhere.yaml")


def test_aliases_are_refused_before_they_grow(tmp_path):
    bomb = "study: &a [x, x]\ntitle: [*a, *a]\n"
    assert "alias '*a' is not allowed" in refusal(bomb, tmp_path)


@pytest.mark.parametrize(
    "drop", ["study", "title", "twin", "population", "tick", "visits", "arms", "endpoints", "analysis"]
)
def test_a_missing_section_is_named(drop, small_text, tmp_path):
    tree = document.parse(small_text, "t").tree
    del tree[drop]
    if drop == "analysis":
        assert "contrast" in refusal(document.write(tree), tmp_path)
    else:
        assert f"'{drop}'" in refusal(document.write(tree), tmp_path)


WORDS = [
    "",
    "-1",
    "0",
    "no",
    "5 mg",
    "1e400 h",
    "2.0 to 3.0",
    "*1*1",
    "[",
    "{a: b}",
    "every 0 h",
    "NaN",
    "\u0000",
    "ä",
    "x" * 300,
]


@st.composite
def mutated(draw, text):
    """A study file with a few of its lines, words or characters changed."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(lines) - 1))
        kind = draw(st.sampled_from(["drop", "double", "word", "character", "insert"]))
        if kind == "drop" and len(lines) > 1:
            del lines[at]
        elif kind == "double":
            lines.insert(at, lines[at])
        elif kind == "insert":
            lines.insert(at, draw(st.text(max_size=12)))
        elif kind == "word":
            words = re.split(r"(\W)", lines[at])
            words[draw(st.integers(0, len(words) - 1))] = draw(st.sampled_from(WORDS))
            lines[at] = "".join(words)
        elif lines[at]:
            place = draw(st.integers(0, len(lines[at]) - 1))
            lines[at] = lines[at][:place] + draw(st.characters()) + lines[at][place + 1 :]
    return "\n".join(lines)


@settings(
    derandomize=True,
    deadline=None,
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_a_mutated_study_file_is_sound_or_one_sentence(data, small_text, tmp_path, capsys, monkeypatch):
    text = data.draw(mutated(small_text))
    try:
        document_ = document.parse(text, "study.yaml")
        plan = study(document_, tmp_path)
        if plan.size <= 10_000:
            feasibility.check(plan)
    except ValueError as error:
        assert str(error).startswith("study.yaml:"), str(error)
        assert len(str(error).splitlines()) == 1
        # and so does the command: nothing but the sentence, and status 2
        (tmp_path / "study.yaml").write_bytes(text.encode("utf-8", "surrogatepass"))
        monkeypatch.setattr(sys, "argv", ["trialtwin", "check", str(tmp_path / "study.yaml")])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        assert ended.value.code == 2
        assert len(capsys.readouterr().err.strip().splitlines()) == 1


@pytest.mark.parametrize("name", policies.names())
def test_every_policy_explains_its_keys_and_refuses_others(name, small_text, tmp_path):
    form = policies.load(name)
    assert form.title and set(form.defaults) <= set(form.keys)
    assert all(meaning for meaning in form.keys.values())
    bad = small_text.replace("{policy: titrated-oral, start: 5 mg", f"{{policy: {name}, colour: blue")
    assert "unknown key 'colour'" in refusal(bad, tmp_path)
