"""Run-length JSON of label volumes (platelet-em)."""
