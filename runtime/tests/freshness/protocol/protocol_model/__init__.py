"""The world around the protocol (database, writers, readers, accelerators, losses) as small step machines that call the real
decisions.
"""
