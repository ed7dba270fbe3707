"""What a compilation did, as facts, schedule, drawing and page."""
