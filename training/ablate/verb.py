"""`regolith ablate`: the verb."""

from __future__ import annotations

from typing import Any, ClassVar

from regolith.lunar.params import Verb, quantity
from training.ablate.asked import StudyVerb, checked, names
from training.ablate.report import write_report
from training.ablate.schedule import Schedule
from training.ablate.study import RunSpec, Study


class AblateFlags(Verb):
    """What is compared."""

    presets: str = quantity("v1,v2,v3", "Scene generations, in their order.")
    runs: str = quantity(
        "nodr_750,dr_750,dr_1500", "Training sets of each: randomized or not, and their frames at scale 1."
    )


class Ablate(StudyVerb, AblateFlags):
    """Measure what fidelity, domain randomization and the number of frames do; run again to resume."""

    verb: ClassVar[str] = "ablate"
    always: ClassVar[tuple[str, ...]] = ("presets", "runs", "seeds", "scale")

    def study(self) -> Study:
        """Return what is asked for.

        Raises:
            InputError: The first field that does not fit.
        """
        asked = self.asked()
        runs = tuple(RunSpec.parse(name) for name in names("runs", self.runs))
        return checked(Study(presets=tuple(names("presets", self.presets)), runs=runs, **asked))

    def report(self, study: Study, schedule: Schedule, shown: list[str]) -> dict[str, Any]:
        """Write results.json, RESULTS.md and the figures of what is done so far."""
        return write_report(study, schedule, shown)
