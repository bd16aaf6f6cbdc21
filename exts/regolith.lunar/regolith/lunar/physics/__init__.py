"""Physics: the UsdPhysics of a stage in an engine, wheels on soil, and traverses."""
