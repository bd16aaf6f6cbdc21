"""Names of usdrt that NVIDIA's utilities mention in annotations; nothing of it runs."""

from __future__ import annotations

from types import SimpleNamespace

from pxr import Sdf as _Sdf
from pxr import Usd as _Usd

Usd = SimpleNamespace(Stage=_Usd.Stage, Prim=_Usd.Prim)
Sdf = SimpleNamespace(ValueTypeNames=_Sdf.ValueTypeNames, ValueTypeName=_Sdf.ValueTypeName)
