"""What methods and tasks build on; see DESIGN.md for the words used here. Imports nothing."""
