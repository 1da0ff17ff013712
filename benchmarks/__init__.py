"""Where the figures of docs/ come from: `make bench`, and the scripts beside it.

`python -m benchmarks` puts the service beside others under load; `python -m benchmarks.costs.steps`
each step of the road beside what it replaces; `python -m benchmarks.costs.http_path` what HTTP
itself costs; `python -m benchmarks.costs.training` the training input beside that of 2022. Figures
are medians, and ratios are taken within one run, rounds interleaved.

Those in `benchmarks.promises` hold the service to what it promises, and end with 1 where it does
not: under `overload`, at its `farewell`, at each `reload`, and in a `soak` of broken uploads.
"""
