"""Double of omni.kit.test: the base class; a test of ours runs its methods in Kit's loop."""

import unittest


class AsyncTestCase(unittest.TestCase):
    async def setUp(self) -> None: ...

    async def tearDown(self) -> None: ...
