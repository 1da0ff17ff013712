"""Where the README's figures come from: `make bench`, and the two scripts beside it.

`python -m benchmarks` puts the service beside others under load; `python -m benchmarks.steps` each
step of the road beside what it replaces; `python -m benchmarks.http_path` what HTTP itself costs;
`python -m benchmarks.training` the training input beside that of 2022. Everything is a ratio measured in one run, rounds interleaved, medians of several.
"""
