"""Label Studio: tasks with regions in percent of their image, as JSON and JSON-MIN."""
