"""Linear algebra by one thread.

Matrices as small as those of an analysis are solved faster so, and many times faster where processors are shared.
"""

from threadpoolctl import threadpool_limits

one_thread = threadpool_limits.wrap(limits=1, user_api="blas")
