"""Names of dimensions, coordinates and groups of a stored cohort, written once."""

ARM = "arm"
PATIENT = "patient"
TIME = "time"
VISIT = "visit"
REPLICATE = "replicate"
DRAW = "draw"

STATUS = "status"
ERROR = "solution_error"  # estimated for every life
ELIGIBLE = "eligible"

# A measured outcome lies beside the true one: `inr` on the record grid, `inr_measured` at the visits.
MEASURED = "_measured"

# Beside it, where lives are differentiated: `inr_by`, by each number.
BY = "_by"
NUMBER = "number"

# The patients of draw 0 lie at the root of the store; those of the population's other draws in this group.
CANDIDATES = ""
UNCERTAINTY = "uncertainty"

# Patients at chosen points of their inputs lie in groups under this one, in the order of the points.
EXPERIMENTS = "experiments"
ROW = "row"
INPUT = "input"

# Groups that an analysis derives from the lives, and can make again: estimates of trials, power by size and effect;
# quantiles over patients, who they are and how they respond, from which pages are drawn.
TRIALS = "trials"
POWER = "power"
BANDS = "bands"
PEOPLE = "people"
RESPONSES = "responses"
AGGREGATES = (BANDS, PEOPLE, RESPONSES)
DERIVED = (TRIALS, POWER, *AGGREGATES)

# Indices of sensitivity, `sensitivity/patients/sobol`, and the surrogates that answer in place of a twin.
SENSITIVITY = "sensitivity"
SURROGATES = "surrogates"
INFORMATION = "information"
