"""Pictures of a store."""
