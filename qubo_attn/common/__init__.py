"""Arrays, checks, files and threads that every folder uses."""
