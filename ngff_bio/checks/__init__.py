"""Is a store valid, and is it equal to its source?"""
