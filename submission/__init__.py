"""The entry for the Music Demixing Challenge 2023."""
