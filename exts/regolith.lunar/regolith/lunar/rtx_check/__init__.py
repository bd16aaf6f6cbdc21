"""What an RTX machine makes of this tool: a checklist that runs in Isaac Sim, headless or in the app."""
