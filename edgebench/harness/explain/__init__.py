"""Why an int8 file is as fast, as slow and as accurate as it is, from traces of it and of its parent."""
