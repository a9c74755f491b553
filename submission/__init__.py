"""The entry for the Music Demixing Challenge 2023: predictor, local grader, pre-flight check and packager."""
