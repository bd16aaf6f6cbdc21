r"""Tests in Kit itself, for a machine with an RTX GPU: what no other machine can show.

    kit --enable omni.kit.test --/exts/omni.kit.test/testExts/0='regolith.lunar' --ext-folder REPO/exts \
        --ext-folder ISAAC/exts --ext-folder ISAAC/extscache --portable-root ./_kit --no-window

or, in an open Isaac Sim, Window > Test Runner. `docs/RTX.md` has what a person has to look at.
"""

from regolith.lunar.tests.test_rtx import RegolithRtxTest as RegolithRtxTest
