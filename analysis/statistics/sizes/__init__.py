"""How many subjects a trial needs, what power so many have, and what effect they can detect.

Every method is given two of size, power and effect, and finds the third. `ratio` is subjects of arm a to one of arm b.
"""
