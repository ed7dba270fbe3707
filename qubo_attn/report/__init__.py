"""Facts, schedules, drawings and pages of compilations."""
