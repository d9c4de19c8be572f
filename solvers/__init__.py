"""How does one patient live? Twins, policies' contract, and the solve loop. Imports no other folder."""

import jax

# Every state, time and dose is float64; set before any array exists, in every process that imports a twin.
jax.config.update("jax_enable_x64", True)
