"""Methods of sensitivity analysis, one a file."""
