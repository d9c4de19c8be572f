"""The statistics of trials: what a set of subjects, or many sets at once, tells about a contrast between arms.

Every method takes arrays or xarray objects whose last dimension is the subject; those that a loop over trials needs
take any dimensions before it, of which one is the replicate, and answer for each. What is wrong with a call raises
ValueError in a sentence; what is wrong with one set of data is a `Trouble` beside its estimate, and spares the others.
"""
