"""View-model of the panel: forms, actions and state, without any GUI toolkit."""
