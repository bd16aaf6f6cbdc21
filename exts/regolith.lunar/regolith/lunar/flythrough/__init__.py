"""Films: a camera's way over a scene as labelled frames, a model's overlay on each, and the film of them."""
