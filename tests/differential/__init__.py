"""The same scenario on the real server and on Perdure: answers, errors and histories must be the same.

A scenario is a function that takes a `Script` and makes calls; whatever the server answers is recorded, and normalised
so that two runs on the same server record the same. `DIFFERENTIAL_CANDIDATE=real` puts a second real server in
Perdure's place, which is how scenarios are written: they must agree with themselves. `DIFFERENTIAL_OUT=directory` keeps
the records.
"""
