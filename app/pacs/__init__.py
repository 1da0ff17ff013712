"""A DICOM node: films in by C-STORE, structured reports out; the service answers over HTTP."""
