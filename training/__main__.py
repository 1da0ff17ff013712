"""`python -m training`."""

import sys

from training.cli import main
from training.network.quiet import without_tensorflows_lines

with without_tensorflows_lines():
    code = main()
sys.exit(code)
