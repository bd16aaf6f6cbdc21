"""Where Kit's test runner looks; the tests are in `regolith.lunar.tests`."""

from regolith.lunar.tests import *  # noqa: F403
