"""Events of which only the first can happen: cumulative incidence, its comparison and its regression."""
