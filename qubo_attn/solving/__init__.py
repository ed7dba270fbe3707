"""Programs solved here, without a machine: exactly where that can be done, else by exchanges."""
