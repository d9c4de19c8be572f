"""Mixed models for repeated measures: a mean for every arm and visit, and a covariance between a subject's visits."""
