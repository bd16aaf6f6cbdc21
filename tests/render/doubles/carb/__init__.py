"""Double of carb for hosts without the Kit kernel: settings and events."""
