"""The specification's rules on group metadata: one module a topic, one a version."""
