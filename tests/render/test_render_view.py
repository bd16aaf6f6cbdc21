"""What a frame reads off the stage besides geometry."""

from __future__ import annotations

import pytest
from pxr import Sdf, Usd

from regolith.lunar.params import GroundParams, field_extra
from regolith.lunar.render.tables import MATERIAL_ROW, ROW_WIDTH, material_rows
from regolith.lunar.render.view import Material, read_material
from regolith.lunar.stage import schema


def test_every_drawn_photometry_value_has_a_row() -> None:
    """The table holds what the parameters of the ground draw per frame, under names of their own."""
    drawn = [name for name, field in GroundParams.model_fields.items() if field_extra(field)["per"] == "frame"]
    assert list(schema.PHOTOMETRY_VALUES) == drawn
    names = [value.name for value in schema.PHOTOMETRY_VALUES.values()]
    assert ("albedo", "w", *names, "bump") == MATERIAL_ROW
    assert len(set(MATERIAL_ROW)) == len(MATERIAL_ROW)


@pytest.mark.parametrize("value", schema.PHOTOMETRY_VALUES.values(), ids=lambda value: value.name)
def test_a_photometry_value_comes_from_its_attribute(value: schema.PhotometryValue) -> None:
    """A value is its attribute's, in the column of its name; where there is none, the table's."""
    stage = Usd.Stage.CreateInMemory()
    prim = stage.DefinePrim(schema.LOOK_GROUND, "Material")
    assert read_material(stage, schema.LOOK_GROUND).values[value.name] == value.absent
    prim.CreateAttribute(schema.PHOTOMETRY + value.name, Sdf.ValueTypeNames.Double).Set(0.123)
    found = read_material(stage, schema.LOOK_GROUND)
    assert found.values == {**Material().values, value.name: 0.123}
    rows, _ = material_rows((Material(), found))
    assert rows.shape == (2, ROW_WIDTH)
    changed = (rows[0] != rows[1]).nonzero()[0].tolist()
    assert changed == [MATERIAL_ROW.index(value.name)]
