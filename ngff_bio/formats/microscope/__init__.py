"""Files of microscopes, read through bioio and its plug-ins."""
