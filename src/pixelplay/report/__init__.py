"""Pictures and pages for people to look at. Arrays and tables in, files out: nothing here is computed anew."""
