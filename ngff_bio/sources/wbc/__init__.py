"""Multi-focus white blood cells (miLab)."""
