"""What goes wrong, on purpose and from a seed."""
