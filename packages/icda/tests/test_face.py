"""The face of the package: light, complete, and honest about what it lacks."""

import subprocess
import sys

import pytest

import icda
from icda._lazy import LAZY_MODULES


def test_face_imports_no_heavy_library():
    code = "import sys, icda; print([x for x in ('numpy', 'sklearn', 'torch', 'twllm_runs') if x in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert shown.strip() == "[]"


@pytest.mark.parametrize("name", sorted(LAZY_MODULES))
def test_face_lazy_name_is_there_and_documented(name):
    assert getattr(icda, name).__doc__.strip()
    assert name not in icda.__all__


def test_face_other_names_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = icda.nothing  # type: ignore[attr-defined] -- that it is not there is what is tested
