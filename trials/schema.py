"""Names of dimensions, coordinates and groups of a stored cohort, written once."""

ARM = "arm"
PATIENT = "patient"
TIME = "time"
VISIT = "visit"
REPLICATE = "replicate"
DRAW = "draw"

STATUS = "status"
ELIGIBLE = "eligible"

# A measured outcome lies beside the true one: `inr` on the record grid, `inr_measured` at the visits.
MEASURED = "_measured"

# The patients of draw 0 lie at the root of the store; those of the population's other draws in this group.
CANDIDATES = ""
UNCERTAINTY = "uncertainty"

# Groups that an analysis derives from the lives, and can make again: estimates of trials, quantiles over patients.
TRIALS = "trials"
BANDS = "bands"
