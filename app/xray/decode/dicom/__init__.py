"""A DICOM file -> an upright 8-bit picture."""
