"""The acts of a trial on a cohort that has lived: enrol, randomise, lose, observe. Replicates are an array axis."""

import enum
from typing import NamedTuple

import numpy as np

from trials.study import Study


class Purpose(enum.IntEnum):
    """What a replicate's random numbers are for; each purpose has its own stream."""

    ENROLMENT = 101
    ACCRUAL = 102
    RANDOMISATION = 103
    DROPOUT = 104


class Trial(NamedTuple):
    """Replicates of a trial; every array is (replicate, subject), subjects in the order of enrolment.

    patient: position in the cohort. arm: position among the study's arms. enrolled: days from the opening of the
    trial. lost: days from the subject's own randomisation after which nothing is observed; inf for those not lost.
    """

    patient: np.ndarray
    arm: np.ndarray
    enrolled: np.ndarray
    lost: np.ndarray


def stream(seed: int, purpose: Purpose, replicate: int) -> np.random.Generator:
    """The random numbers of one replicate for one purpose: a function of nothing else."""
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, int(purpose), replicate])))


def conduct(study: Study, pool: np.ndarray, replicates: range) -> Trial:
    """Conducts replicates of the study's trial on a pool of patients.

    pool: positions in the cohort of those who may enter, (patient,). Each replicate enrols without replacement.
    Raises ValueError where the pool is smaller than the trial.
    """
    trial = study.trial
    if len(pool) < trial.subjects:
        raise ValueError(
            f"the trial needs {trial.subjects} subjects and {len(pool)} of {study.size} candidates may enter; "
            "raise population: size, widen eligibility or lower trial: subjects"
        )
    columns: list[list[np.ndarray]] = [[], [], [], []]
    for replicate in replicates:
        enrolled = stream(study.seed, Purpose.ENROLMENT, replicate).choice(pool, trial.subjects, replace=False)
        arms = permuted_blocks(
            stream(study.seed, Purpose.RANDOMISATION, replicate), trial.allocation, trial.block, trial.subjects
        )
        waits = stream(study.seed, Purpose.ACCRUAL, replicate).standard_exponential(trial.subjects)
        days = stream(study.seed, Purpose.DROPOUT, replicate).standard_exponential(trial.subjects)
        lost = days / trial.dropout if trial.dropout > 0 else np.full(trial.subjects, np.inf)
        for column, values in zip(columns, (enrolled, arms, np.cumsum(waits) / trial.accrual, lost), strict=True):
            column.append(values)
    return Trial(*(np.stack(column) for column in columns))


def permuted_blocks(rng: np.random.Generator, allocation: tuple[int, ...], block: int, subjects: int) -> np.ndarray:
    """Arms of subjects in the order of enrolment, (subject,): every block holds the allocation exactly.

    block: subjects in a block, a multiple of sum(allocation). The last block may be cut.
    """
    content = np.repeat(np.arange(len(allocation)), allocation)
    content = np.tile(content, block // len(content))
    blocks = -(-subjects // block)
    return rng.permuted(np.tile(content, (blocks, 1)), axis=1).ravel()[:subjects]


def observe(trial: Trial, measured: np.ndarray, visit_days: np.ndarray) -> np.ndarray:
    """What the trial observes, (replicate, subject, visit): the stored measurement, NaN from the loss on.

    measured: (arm, patient, visit), as it was drawn once and read by the policies. visit_days: (visit,).
    """
    seen = measured[trial.arm, trial.patient]
    return np.where(visit_days <= trial.lost[..., None], seen, np.nan)
