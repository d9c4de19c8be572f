"""What became of one life: a small integer stored beside its data."""

import enum


class Status(enum.IntEnum):
    """Status of one patient under one arm."""

    NOT_RUN = 0  # an unwritten chunk reads as 0
    OK = 1
    NOT_ELIGIBLE = 2  # drawn, marked, and not simulated
    NOT_FINITE = 3  # a state or outcome left the finite numbers
    OUT_OF_BOUNDS = 4  # an outcome left the range that its twin declares possible
    BAD_PARAMETER = 5  # a parameter or covariate lies outside its declared bounds
    INACCURATE = 6  # the estimated error of its solution stays beyond the tolerance
    OVERFLOW = 7  # more doses and ends of infusions were on their way than there is room for
    UNSETTLED = 8  # a steady state that there must be was not found
    OUT_OF_SHAPE = 9  # the geometry is at a bound of what the model can describe
    UNREACHED = 10  # what the body keeps constant cannot be kept so


REASONS: dict[Status, str] = {
    Status.NOT_RUN: "not run",
    Status.OK: "ok",
    Status.NOT_ELIGIBLE: "not eligible",
    Status.NOT_FINITE: "a state or outcome is not finite",
    Status.OUT_OF_BOUNDS: "an outcome left its possible range",
    Status.BAD_PARAMETER: "a parameter or covariate lies outside its bounds",
    Status.INACCURATE: "its solution is less accurate than asked",
    Status.OVERFLOW: "more doses were on their way than there is room for",
    Status.UNSETTLED: "no steady state was found",
    Status.OUT_OF_SHAPE: "its geometry is at a bound of what the model can describe",
    Status.UNREACHED: "the pressure and flow that its body keeps at rest cannot be reached",
}

FAILED = tuple(status for status in Status if status > Status.NOT_ELIGIBLE)
