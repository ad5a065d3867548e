"""Where and in which order units of work run."""
