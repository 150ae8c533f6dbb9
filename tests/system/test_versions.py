"""Versions of installed distributions; None for missing ones."""

import numpy

from audiofw.system.versions import version_of, versions_of


def test_what_is_not_installed_is_left_out():
    assert version_of("no-such-distribution") is None
    assert versions_of(["numpy", "no-such-distribution"]) == {"numpy": numpy.__version__}
