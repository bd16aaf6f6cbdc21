"""A camera as its photographs show it: one module for each quantity of `params.SensorParams` that they tell of."""
