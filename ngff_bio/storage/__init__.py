"""Where bytes lie: folder, memory, zip, HTTP, bucket."""
