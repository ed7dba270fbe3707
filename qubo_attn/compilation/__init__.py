"""What a compilation is made of, and how it is stored."""
