"""Where the figures of docs/ come from: `make bench`, and the scripts beside it.

`python -m benchmarks` puts the service beside others under load (`compare`). The scripts in `costs`
time each step of the road beside what it replaces; figures are medians of interleaved rounds. Those
in `promises` hold the service to what it promises, and end with 1 where it does not.

All that is sent comes from one generator of load (`rig.generator`), which notes for each request
when it was written and what was answered; all that is found is told by one `report`.
"""
