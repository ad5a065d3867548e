"""JSON files: whole, or scanned in bounded memory."""
