"""Parameters of the rover's dynamics: what a real rover may have otherwise than the one on the stage."""

from __future__ import annotations

from regolith.lunar.params.fields import Group, Interval, drawn

CONTROL_S = 0.02
"""Step of a delay [s]: how often drives take a command."""


class DynamicsParams(Group):
    """How the rover moves against how it is drawn; each value is drawn once a traverse.

    The defaults leave the rover as it is. `stage.dynamics.apply_dynamics` puts what is drawn on a stage.
    """

    friction_scale: Interval = drawn(
        1.0, 1.0, "Factor on both friction coefficients of wheels, ground and rocks.",
        ge=0.1, le=3, step=0.05, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    restitution: Interval = drawn(
        0.0, 0.0, "Speed after an impact over that before it; without effect where the terrain is compliant.",
        ge=0, le=0.9, step=0.05, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    mass_scale: Interval = drawn(
        1.0, 1.0, "Factor on the mass of every body, and with it on its inertia.",
        ge=0.3, le=3, step=0.05, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    inertia_scale: Interval = drawn(
        1.0, 1.0, "Factor on the moments of inertia of every body at its mass.",
        ge=0.2, le=5, step=0.05, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    joint_damping_scale: Interval = drawn(
        1.0, 1.0, "Factor on the damping of every drive: how hard a wheel is held to its speed, a joint slowed.",
        ge=0.05, le=10, step=0.05, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    drive_stiffness_scale: Interval = drawn(
        1.0, 1.0, "Factor on the stiffness of the drives of suspension and steering.",
        ge=0.2, le=5, step=0.05, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    gravity_tilt_deg: Interval = drawn(
        0.0, 0.0, "Angle of gravity to the vertical of the stage: a slope that the terrain does not have.",
        unit="deg", ge=0, le=30, step=0.5, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    gravity_azimuth_deg: Interval = drawn(
        0.0, 360.0, "Direction that tilted gravity pulls to, anticlockwise from +X.",
        unit="deg", ge=0, le=360, step=1, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    terrain_compliance: Interval = drawn(
        0.0, 0.0, "How far ground and rocks give way under a contact's load; 0 is as hard as the engine has them.",
        unit="mm/kN", ge=0, le=500, step=5, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    action_gain: Interval = drawn(
        1.0, 1.0, "Speed that a wheel's drive aims at over the speed commanded.",
        ge=0.2, le=2, step=0.01, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    action_delay_steps: Interval = drawn(
        0.0, 0.0, "Steps of 20 ms between a command and its effect, rounded.",
        unit="steps", ge=0, le=50, step=1, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    action_noise: Interval = drawn(
        0.0, 0.0, "Standard deviation of an action about the one commanded, over the largest action.",
        ge=0, le=0.5, step=0.005, randomizer="dynamics", per="traverse",
    )  # fmt: skip
    proprioception_noise: Interval = drawn(
        0.0, 0.0, "Standard deviation of what a controller reads of the rover's motion, over the largest reading.",
        ge=0, le=0.5, step=0.005, randomizer="dynamics", per="traverse",
    )  # fmt: skip
