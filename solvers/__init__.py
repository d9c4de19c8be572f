"""How does one patient live? Twins, policies' contract, and the solve loop. Imports no other folder."""

import jax

from solvers import tuning

# XLA reads its flags when it first computes, which is still to come, in every process that imports a twin.
tuning.apply()
# Every state, time and dose is float64; set before any array exists.
jax.config.update("jax_enable_x64", True)
tuning.keep()
