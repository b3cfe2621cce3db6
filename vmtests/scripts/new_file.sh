# One empty file, and nothing but it.
touch /example-file
