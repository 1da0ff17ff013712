"""`python -m benchmarks.rig.corpus.fuzz [FLAGS or FILES]`: bytes in, model input or an error out.

Atheris mutates what reaches new lines, for five minutes unless a flag of libFuzzer says otherwise;
given files, it runs them instead. Whatever is raised but SenderError ends it, and the bytes that
led there are kept where the output says.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from benchmarks.rig.corpus import seeds

_FLAGS: Final = {
    "max_total_time": "300",
    "max_len": "32768",
    "timeout": "60",
    "rss_limit_mb": "3000",
    "print_final_stats": "1",
    "artifact_prefix": f"{tempfile.gettempdir()}/cxr-fuzz-",
}
_INSTRUMENTED: Final = (
    "app.xray",
    "PIL.PngImagePlugin",
    "PIL.JpegImagePlugin",
    "pydicom.filereader",
)
_MAX_PIXELS: Final = 250_000
_IN_CHILD: Final = "CXR_FUZZ_CHILD"


def main(arguments: list[str]) -> int:
    """Fuzz in a process of its own: libFuzzer ends the one that it runs in. Its exit status."""
    if importlib.util.find_spec("atheris") is None:
        print("Fuzzing needs atheris: pip install -r requirements/fuzz.txt")  # noqa: T201
        return 2
    with tempfile.TemporaryDirectory(prefix="cxr-fuzz-corpus-") as folder:
        for index, data in enumerate(seeds()):
            (Path(folder) / str(index)).write_bytes(data)
        has_own = any(not argument.startswith("-") for argument in arguments)
        flags = [f"-{name}={value}" for name, value in _FLAGS.items()]
        command = [sys.executable, "-m", "benchmarks.rig.corpus.fuzz", *flags, *arguments]
        child = subprocess.run(
            command if has_own else [*command, folder],
            env=os.environ | {_IN_CHILD: "1"},
            check=False,
        )
    return child.returncode


def fuzz() -> None:
    """Does not return."""
    import warnings

    import atheris

    # What is instrumented is so while it is imported; drawing the seeds has imported some of it.
    for name in list(sys.modules):
        if name.startswith(_INSTRUMENTED):
            del sys.modules[name]
    with atheris.instrument_imports(include=list(_INSTRUMENTED)):
        for name in _INSTRUMENTED:
            importlib.import_module(name)
        from app.xray.contract import ModelContract
        from app.xray.errors import SenderError
        from app.xray.preprocess import preprocess

    warnings.simplefilter("ignore")
    contract = ModelContract.recipe_of_2022()

    def target(data: bytes) -> None:
        try:
            found = preprocess(data, contract, max_pixels=_MAX_PIXELS)
        except SenderError:
            return
        assert found.shape == (224, 224, 3)
        assert 0 <= found.min() <= found.max() <= 1

    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    if _IN_CHILD in os.environ:
        fuzz()
    sys.exit(main(sys.argv[1:]))
