"""Permissions, principals and the one function that decides who may do what."""
