"""From a dataset to a store: pyramid, chunks, codecs, plan, units, runners."""
