"""Where problems sit on a machine: templates, packing, plans and the cache."""
