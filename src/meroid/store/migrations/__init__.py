"""Steps from one schema to the next; each suits the code before it as well as after it."""
